import os
from contextlib import nullcontext

import numpy as np
import pytest

from ferpipe.core import files
from ferpipe.core.errors import PipelineError


def test_a_block_that_ends_well_replaces_the_target(tmp_path):
    target = tmp_path / "made" / "for" / "it.txt"
    with files.replacing(target) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_target_and_nothing_else(tmp_path, error):
    target = tmp_path / "it.txt"
    target.write_bytes(b"old")
    with pytest.raises(error), files.replacing(target) as file:
        file.write(b"half of the n")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_writing_removes_temporary_files_of_killed_processes(tmp_path):
    target = tmp_path / "it[1].txt"
    (tmp_path / ".it[1].txt.abc.partial").write_bytes(b"half")
    (tmp_path / ".it[1].txt.def.partial").mkdir()
    (tmp_path / ".it[1].txt.def.partial" / "part").write_bytes(b"half")
    others = [tmp_path / ".it.txt.abc.partial", tmp_path / ".it[1].txt"]
    for other in others:
        other.write_bytes(b"not ours")
    files.write_bytes(target, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([target, *others])


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_scratch_folder_is_beside_its_target_and_removed(tmp_path, error):
    target = tmp_path / "made" / "records"
    with pytest.raises(error) if error else nullcontext(), files.scratch(target) as folder:
        assert folder.parent == target.parent
        assert list(folder.iterdir()) == []
        (folder / "shard").write_bytes(b"half")
        if error:
            raise error
    assert list(target.parent.iterdir()) == []


def test_tidy_removes_open_temporary_files(tmp_path):
    with files.replacing(tmp_path / "whole.txt") as file:
        file.write(b"whole")
    with (
        pytest.raises(FileNotFoundError),  # from the move over the target
        files.replacing(tmp_path / "it.txt"),
        files.scratch(tmp_path / "records") as folder,
    ):
        (folder / "shard").write_bytes(b"half")
        assert len(list(tmp_path.iterdir())) == 3
        files.tidy()
        assert list(tmp_path.iterdir()) == [tmp_path / "whole.txt"]
    assert list(tmp_path.iterdir()) == [tmp_path / "whole.txt"]


# Files of at most 1000 bytes.
LIMITED = """
import resource
from pathlib import Path
from ferpipe.core import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
where = Path({!r})
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")
@pytest.mark.parametrize(
    "code",
    [
        "files.write_bytes(where / 'it.bin', bytes(2000))",
        "with files.scratch(where / 'it.bin') as folder: (folder / 'a').write_bytes(bytes(2000))",
    ],
)
def test_a_file_that_does_not_fit_is_named_and_removed(tmp_path, run_python, code):
    done = run_python("-c", LIMITED.format(str(tmp_path)) + code)
    assert done.stderr.splitlines()[-1] == (
        f"OSError: [Errno 27] File too large: '{tmp_path / 'it.bin'}'"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_the_umask_of_the_process_is_never_touched(tmp_path, monkeypatch):
    """Another thread that makes a file meanwhile would get the wrong permissions."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it was"))
    files.write_text(tmp_path / "a.txt", "a")
    with files.scratch(tmp_path / "b"):
        pass


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_an_output_has_the_permissions_of_an_ordinary_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "it.txt", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "it.txt").stat().st_mode & 0o777 == mode


def test_json_is_indented_in_the_order_given_and_reads_back(tmp_path):
    path = tmp_path / "it.json"
    files.write_json(path, {"b": 1, "a": {"ü": 0.1}})
    assert path.read_bytes() == '{\n  "b": 1,\n  "a": {\n    "ü": 0.1\n  }\n}\n'.encode()
    assert files.read_json(path) == {"b": 1, "a": {"ü": 0.1}}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.9735449735449735, 0.973545),
        (np.float64(0.1) + 0.2, 0.3),
        (1.23456789e-7, 1.23457e-7),
        (1234567.8, 1234570.0),
        (1.0, 1.0),
        (12345678, 12345678),
        (True, True),
        (None, None),
        ("0.123456789", "0.123456789"),
    ],
)
def test_floats_have_six_significant_digits(tmp_path, value, written):
    assert files.rounded(value) == written
    assert type(files.rounded(value)) is type(written)
    files.write_json(tmp_path / "it.json", {"a": value, "b": {"c": [value]}})
    assert files.read_json(tmp_path / "it.json") == {"a": written, "b": {"c": [written]}}


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "it.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "it.json is missing; run `dvc repro`, which makes it"),
        (b"{", "it.json is not JSON .*; run `dvc repro --force`"),
        (b"\xff", "it.json is not JSON .*; run `dvc repro --force`"),
        (b"[1]", "it.json is not a JSON object; run `dvc repro --force`"),
    ],
)
def test_the_error_about_unreadable_json_names_the_remedy(tmp_path, data, message):
    if data is not None:
        (tmp_path / "it.json").write_bytes(data)
    with pytest.raises(PipelineError, match=message):
        files.read_json(tmp_path / "it.json")
