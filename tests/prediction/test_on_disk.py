import os
import sys

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.prediction import on_disk


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("photo ä.jpg", "photo ä.jpg"),
        ("9.41.00\u202fAM \U0001f469\u200d\U0001f467.png",) * 2,
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        (os.fsdecode(b"n\xff"), "n\\udcff"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
    ],
)
def test_a_name_is_shown_in_one_line_of_utf_8(name, line):
    assert on_disk.plain(name) == line
    assert len(on_disk.plain(name).encode().decode().splitlines()) == 1


def refused(path):
    with pytest.raises(PipelineError) as error:
        on_disk.read(path)
    return str(error.value).removeprefix(f"{path} cannot be ")


def test_what_cannot_be_read_to_its_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    assert refused(path) == "read: No such file or directory"
    assert refused(tmp_path) == "read: it is a folder"
    path.write_bytes(b"")
    assert refused(path) == "used: empty file"
    path.write_bytes(b"12345678")
    assert on_disk.read(path) == b"12345678"
    monkeypatch.setattr(on_disk, "MOST_BYTES", 7)
    assert refused(path) == "used: 0 MB, more than 0 MB"


@pytest.mark.skipif(sys.platform == "win32", reason="has neither")
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero"):
        assert refused(path) == "read: it is a pipe or device; save it as a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_without_permission_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "a.png").chmod(0)
    assert refused(tmp_path / "a.png") == "read: Permission denied"
