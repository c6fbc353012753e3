import io
import re
from pathlib import Path

import pytest
from faces import png, write_folder

from ferpipe.core.errors import PipelineError
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
    return [path.as_posix() for path in pictures(names)]


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


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_standard_input_has_a_name_in_each_line(monkeypatch, end):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"photos/b.png\n\n-\nphotos/*.JPG{end}"))
    assert found("x.png", "-") == ["x.png", "photos/b.png", "photos/a.JPG"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("empty", "empty has no images and no videos"), ("*.gif", "no file matches *.gif")],
)
def test_nothing_to_read_is_an_error_that_names_it(name, fault):
    Path("empty").mkdir()
    with pytest.raises(PipelineError, match=f"^{re.escape(fault)}$"):
        found(name)
