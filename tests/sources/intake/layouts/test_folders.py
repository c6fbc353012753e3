"""Class folders at any depth; what is not certain is an error."""

from pathlib import Path

import pytest
from faces import layout, listed

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.layouts import folders

SOURCE = Path("faces.zip")


def find(*paths, **keys):
    """The images as {path: part}, and the skipped files."""
    found = folders.members(listed(*paths), layout(**keys), SOURCE)
    return {member.path: member.part for member in found.members}, found.skipped


def refused(*paths, **keys):
    with pytest.raises(PipelineError) as error:
        find(*paths, **keys)
    return str(error.value)


def each(*shapes, count=2, **names):
    """Paths of all combinations, such as each("{s}/{c}/{i}.png", s=["S1"], c=["happy"])."""
    paths = list(shapes)
    for name, values in names.items():
        paths = [path.replace(f"{{{name}}}", value) for path in paths for value in values]
    return [path.replace("{i}", str(i)) for path in paths for i in range(count)]


CLASSES = ("angry", "Happy faces", "neutral")
PEOPLE = ("S1", "S02", "S113")


@pytest.mark.parametrize(
    ("paths", "first"),
    [
        (each("{c}/{i}.png", c=CLASSES), "angry/0.png"),
        (each("{c}/{i}.png", c=("1", "2", "7")), "1/0.png"),
        (each("x/y/{c}/{i}.png", c=("a", "b")), "a/0.png"),
        (each("{c}/{s}/{i}.png", c=CLASSES, s=PEOPLE), "angry/S1_0.png"),
        (each("{c}/{s}/{t}/{i}.png", c=CLASSES, s=("anna", "bob"), t="12"), "angry/anna_1_0.png"),
        (each("{s}/{c}/{i}.png", c=CLASSES, s=PEOPLE), "angry/S1_0.png"),
        (each("db/{s}/{c}/{i}.png", c=CLASSES, s=("1", "2")), "angry/1_0.png"),
        (each("{s}/{c}/{t}/{i}.png", c=CLASSES, s=PEOPLE, t=("a", "b")), "angry/S1_a_0.png"),
        (["angry/0.png", *each("{c}/{s}/{i}.png", c=CLASSES, s=PEOPLE)], "angry/0.png"),
        (each("S1/{c}/{i}.png", c=CLASSES), "angry/S1_0.png"),
        (each("{c}/{c}/{i}.png", c=CLASSES), "angry/angry_0.png"),
        (each("{s}/{c}/{i}.png", s=PEOPLE, c=("AN", "HA")), "AN/S1_0.png"),
        (each("{s}/{c}/{i}.png", s=PEOPLE, c=("0_angry", "1_happy", "ahegao")), "0_angry/S1_0.png"),
    ],
)
def test_classes_are_found_at_any_depth_and_other_folders_are_in_the_names(paths, first):
    found, skipped = find(*paths)
    assert len(found) == len(paths)
    assert first in found
    assert set(found.values()) == {""}
    assert skipped == []


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            each("DATASET/{p}/{c}/{p}_{i}.jpg", p=("train", "test"), c="12", count=1),
            {"1/train_0.jpg": "train", "1/test_0.jpg": "test"},
        ),
        (
            each("{c}/{p}/{p}{i}.jpg", p=("Train", "VALID"), c=CLASSES),
            {"angry/Train0.jpg": "train", "angry/VALID1.jpg": "val"},
        ),
        (
            each("{p}/{c}/{i}.jpg", p=("train_set", "val_set"), c="12"),  # the names would collide
            {"1/train_set_0.jpg": "train", "1/val_set_0.jpg": "val"},
        ),
        (
            each("{p}/{p}/{c}/{p}{i}.jpg", p=("training", "testing"), c="ab"),
            {"a/training0.jpg": "train", "b/testing1.jpg": "test"},
        ),
        (
            each("{p}/{p}_images/{c}/{p}{i}.jpg", p=("train", "dev"), c="ab"),
            {"a/train0.jpg": "train", "b/dev1.jpg": "val"},
        ),
        (
            each("train/{s}/{c}/{s}{i}.jpg", s=("S1", "S2"), c=CLASSES)
            + each("test/{s}/{c}/{s}{i}.jpg", s=("S3",), c=CLASSES),
            {"angry/S1_S10.jpg": "train", "neutral/S3_S31.jpg": "test"},
        ),
        (each("train/{c}/{i}.jpg", c="ab"), {"a/0.jpg": "", "b/1.jpg": ""}),  # one is no split
    ],
)
def test_official_parts_are_found_above_and_below_the_classes(paths, expected):
    found, _ = find(*paths)
    assert len(found) == len(paths)
    assert found.items() >= expected.items()


def test_further_names_of_parts():
    paths = each("{f}/{c}/{f}_{i}.jpg", f=("fold1", "fold5"), c=CLASSES)
    found, _ = find(*paths, parts={"fold1": "train", "Fold5": "test"})
    assert found["angry/fold5_0.jpg"] == "test"
    assert "none is named 'fold6', as in download.layout.parts" in refused(
        *paths, parts={"fold1": "train", "fold6": "test"}
    )


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            [*each("{p}/{c}/{i}.png", p=("train", "test"), c="12"), "more/1/0.png"],
            "1 of 9 images are in no official part, such as more/1/0.png, others are in",
        ),
        (
            [*each("train/{c}/{i}.png", c="12"), "test/0.png"],
            "test/0.png is in no class folder; move it into one, or set download.root",
        ),
        (
            [*each("{p}/{c}/{i}.png", p=("train", "test"), c="12"), "train/test/1/0.png"],
            "is in folders of two official parts, train and test",
        ),
        (
            each("{r}/{c}/{i}.png", r=("raw", "aligned"), c=CLASSES),
            "differ: raw, aligned; set download.root to one of them, or download.layout.kind to "
            "folders to take all of them",
        ),
        (
            ["sad/1.png", "happy/1.png", "CK/sad/1.png", "CK/happy/2.png"],
            "class folders in several places that differ: ., CK; set download.root to one of them",
        ),
    ],
)
def test_what_is_in_no_part_or_class_is_an_error_that_names_the_key(paths, message):
    assert message in refused(*paths)


@pytest.mark.parametrize(
    "paths",
    [
        each("db/{s}/{t}/{i}.png", s=PEOPLE, t=("001", "002")),
        each("db/{s}/{i}.png", s=PEOPLE),
        each("KDEF/{s}/{s}{c}S.JPG", s=("AF01", "BM35"), c=("AN", "HA")),
        each("{s}/{t}/{i}.png", s=("S005",), t=("001", "002")),
        each("{s}/{t}/{i}.png", s=("1", "2", "3"), t=("1", "2")),
        each("{t}/{s}/{i}.png", s=("anna", "bob"), t=("foo", "bar")),
        each("{s}/{c}/{i}.png", s=PEOPLE, c=("foo", "bar")),
        each("{s}/{c}/{t}/{i}.png", s=PEOPLE, c=("happy",), t=("fear", "sad")),
        each("{i}.png"),
        each("images/{i}.png"),
    ],
)
def test_what_is_not_certain_is_an_error_that_takes_no_people_for_classes(paths):
    message = refused(*paths)
    assert message.startswith("faces.zip: it cannot be told which class an image has: it has ")
    assert "download.layout" in message
    assert "download.root" not in message
    assert "\n" not in message


def test_several_folders_of_class_folders_are_one_source_if_the_kind_says_so():
    paths = each("{r}/{c}/{i}.png", r=("raw", "aligned"), c=CLASSES)
    assert len(find(*paths, kind="folders")[0]) == len(paths)


def test_folders_like_people_are_classes_only_if_the_kind_says_so():
    assert len(find(*each("{s}/{i}.png", s=PEOPLE), kind="folders")[0]) == 6


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"pattern": r"^(?P<label>[^/]+)/(?P<subject>[^/]+)/"}, ("foo/anna_0.png", "anna")),
        ({"pattern": r"^[^/]+/(?P<subject>[^/]+)/"}, ("foo/anna_0.png", "anna")),
        ({"pattern": r"/(?P<label>anna|bob)/"}, ("anna/foo_0.png", "")),
    ],
)
def test_a_pattern_says_which_folder_is_the_class(keys, expected):
    paths = each("{c}/{s}/{i}.png", c=("foo", "bar"), s=("anna", "bob"))
    found = folders.members(listed(*paths), layout(kind="folders", **keys), SOURCE).members
    assert len(found) == len(paths)
    assert expected in {(member.path, member.subject) for member in found}


def test_copies_of_a_folder_count_once():
    tree = listed(*each("1/{i}.png", "2/{i}.png", "CK/1/{i}.png", "CK/2/{i}.png"), data=b"same")
    found = folders.members(tree, layout(), SOURCE)
    assert [member.path for member in found.members] == ["1/0.png", "1/1.png", "2/0.png", "2/1.png"]
    assert [reason for _, reason in found.skipped] == ["also in ."] * 4
