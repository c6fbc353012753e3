import io
import os
import sys
from pathlib import Path

import pytest
from faces import png, write_folder

from ferpipe.prediction.inputs import pictures

TREE = {
    "b.png": png(1),
    "a.JPG": b"no image, which is said when it is opened",
    "deep/er/c": png(2),
    "notes.txt": b"hello",
    "v.MP4": b"a video by its name",
    ".hidden/d.png": png(3),
    "ä [1].png": png(4),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "photos", TREE)


def found(*names):
    """The files as text, and errors as `! message`."""
    return [path.as_posix() if isinstance(path, Path) else f"! {path}" for path in pictures(names)]


def listed(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    return found("x.png", "-")


def test_a_folder_stands_for_the_images_in_it():
    inside = ["photos/a.JPG", "photos/b.png", "photos/deep/er/c", "photos/v.MP4"]
    assert found("photos") == [*inside, "photos/ä [1].png"]


def test_files_stay_in_the_given_order_whatever_they_are():
    assert found("photos/notes.txt", "nosuch.png", "photos/b.png") == [
        *("photos/notes.txt", "nosuch.png", "photos/b.png")
    ]


def test_a_pattern_stands_for_its_files_and_a_name_with_its_signs_for_itself():
    assert found("photos/*.png") == ["photos/b.png", "photos/ä [1].png"]
    assert found("photos/**/c", "photos/ä [1].png") == ["photos/deep/er/c", "photos/ä [1].png"]


def test_a_pattern_that_only_folders_match_stands_for_what_is_in_them():
    assert found("phot?s") == found("photos")
    assert found("photos/d*") == ["photos/deep/er/c"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_standard_input_has_a_name_in_each_line(monkeypatch, end):
    names = listed(monkeypatch, b"photos/b.png\n\n-\n \nphotos/*.JPG" + end)
    assert names == ["x.png", "photos/b.png", "photos/a.JPG"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xef\xbb\xbfa\xcc\x88.png", "a\u0308.png"),
        ("ä.png\r\n".encode("utf-16"), "ä.png"),
        (b"n\xff\xe4.png", os.fsdecode(b"n\xff\xe4.png")),
        (b"two\nlines.png\0", "two\nlines.png"),
        (b" a.png ", " a.png "),
    ],
    ids=["UTF-8 mark", "UTF-16", "other bytes", "find -print0", "blanks"],
)
def test_a_list_is_read_as_systems_write_it(monkeypatch, data, name):
    assert listed(monkeypatch, data) == ["x.png", name]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_and_what_cannot_be_opened_is_left_to_who_opens_it(folder):
    (folder / "photos").mkdir()
    for name, target in {"all": "../photos", "gone.jpg": "nowhere", "gone": "nowhere"}.items():
        (folder / "photos" / name).symlink_to(target)
    (folder / "photos/itself.png").symlink_to("itself.png")
    (folder / "photos/deep").symlink_to("../deep")
    os.mkfifo(folder / "photos/pipe.png")
    os.mkfifo(folder / "photos/pipe")
    names = ["deep/er/c", "gone.jpg", "itself.png", "pipe.png"]
    assert found("photos/photos") == [f"photos/photos/{name}" for name in names]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_without_permission_is_named_and_the_others_are_read(folder):
    (folder / "deep").chmod(0)
    first, *others = found("photos")
    assert first == "! photos/deep cannot be read: Permission denied"
    assert others == ["photos/a.JPG", "photos/b.png", "photos/v.MP4", "photos/ä [1].png"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("empty", "empty has no images and no videos"),
        ("*.gif", "no file matches *.gif"),
        ("photos/[z].png", "no file matches photos/[z].png"),
        ("emp*", "empty has no images and no videos"),
        ("", "'' is no name of a file"),
    ],
)
def test_nothing_to_read_is_an_error_among_the_others(name, fault):
    Path("empty").mkdir()
    assert found(name, "photos/b.png") == [f"! {fault}", "photos/b.png"]


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"-\n"])
def test_an_empty_list_is_an_error(monkeypatch, data):
    fault = "standard input names no files: give it a name in each line"
    assert listed(monkeypatch, data) == ["x.png", f"! {fault}"]
