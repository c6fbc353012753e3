from pathlib import Path

import pytest
from faces import layout, listed

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.layouts import kinds

SOURCE = Path("faces.zip")
PARTS = [f"db/{part}/{label}/{part}.png" for part in ("train", "test") for label in "12"]

TRAIN, TEST = ["1/train.png", "2/train.png"], ["1/test.png", "2/test.png"]
ROOTS = ("db/test", "db/test/", "./db/test")


def find(*paths, root=None, skip=(), **keys):
    found = kinds.members(listed(*paths, skip=skip), layout(**keys), root, SOURCE)
    return [member.path for member in found.members], dict(found.skipped)


@pytest.mark.parametrize(
    ("root", "images", "skipped"),
    [
        (None, TRAIN + TEST, []),
        ("db", TRAIN + TEST, []),
        *((root, TEST, ["db/train/1/train.png", "db/train/2/train.png"]) for root in ROOTS),
    ],
)
def test_root_selects_a_folder_and_lists_the_rest(root, images, skipped):
    found, left = find(*PARTS, root=root, skip=("db/notes.txt",))
    assert found == images
    assert left.pop("db/notes.txt") == "not an image file"
    assert left == dict.fromkeys(skipped, "outside download.root")


def test_class_folders_in_root_come_without_those_further_down():
    found, left = find("a/1.png", "b/1.png", "old/a/1.png", root=".")
    assert found == ["a/1.png", "b/1.png"]
    assert left == {"old/a/1.png": "outside download.root"}


def test_a_missing_root_is_an_error_that_lists_the_folders():
    with pytest.raises(PipelineError) as error:
        find(*PARTS, root="train")
    assert str(error.value) == "download.root = 'train' is no folder of faces.zip; its folders: db"


def test_a_kind_is_taken_at_its_word():
    paths = ("a/x_1.png", "b/y_2.png")
    assert find(*paths)[0] == ["a/x_1.png", "b/y_2.png"]
    regex = r"(?P<label>[xy])_"
    assert find(*paths, kind="pattern", pattern=regex)[0] == ["x/a_x_1.png", "y/b_y_2.png"]
    with pytest.raises(PipelineError, match="it cannot be told which class"):
        find("1.png", "2.png", kind="folders")


def test_classes_are_mapped_whatever_the_kind():
    regex = r"(?P<label>[xy])_"
    found, left = find(
        "x_1.png", "y_2.png", kind="pattern", pattern=regex, classes={"x": "sad", "y": None}
    )
    assert found == ["sad/x_1.png"]
    assert left == {"y/y_2.png": "left out by download.layout.classes"}
