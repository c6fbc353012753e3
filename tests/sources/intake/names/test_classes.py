from pathlib import Path

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.member import Found, Member
from ferpipe.sources.intake.names import classes

SOURCE = Path("faces.zip")


def applied(labels, mapping=None, codes=None, names=("0.png", "1.png")):
    members = [Member(label, name, bytes) for label in labels for name in names]
    return classes.apply(Found(members, [], codes=codes or {}), mapping or {}, SOURCE)


def class_names(found):
    return sorted({member.label for member in found.members})


def refused(*args, **keys):
    with pytest.raises(PipelineError) as error:
        applied(*args, **keys)
    return str(error.value)


@pytest.mark.parametrize(
    ("labels", "mapping", "codes", "expected"),
    [
        ("12", {}, {}, ["1", "2"]),
        ("12", {"1": "anger"}, {}, ["2", "anger"]),
        ("12", {"1": "anger", "2": "anger"}, {}, ["anger"]),
        ("123", {"3": None}, {}, ["1", "2"]),
        ("12", {"2": "x"}, {"1": "anger", "2": "joy"}, ["anger", "x"]),
        ("12", {"2": None}, {"1": "anger", "2": "joy"}, ["anger"]),
        ("ab", {"a": "b", "b": "a"}, {}, ["a", "b"]),  # each label is looked up once
        (["happy ", "sad"], {"happy": "joy"}, {}, ["joy", "sad"]),
        (["e\u0301te\u0301", "b"], {"\u00e9t\u00e9 ": "summer"}, {}, ["b", "summer"]),
    ],
)
def test_labels_are_renamed_merged_and_left_out(labels, mapping, codes, expected):
    assert class_names(applied(labels, mapping, codes)) == expected


def test_what_is_left_out_is_listed():
    assert applied("ab", {"b": None}).skipped == [
        ("b/0.png", "left out by download.layout.classes"),
        ("b/1.png", "left out by download.layout.classes"),
    ]


def test_a_key_that_is_no_label_is_an_error_that_lists_the_labels():
    assert refused("ab", {"c": "x"}) == (
        "download.layout.classes: faces.zip has no label 'c'; its labels: a, b"
    )


@pytest.mark.parametrize(
    ("labels", "mapping", "prefixes"),
    [
        (["angry", "anger"], {"anger": "angry"}, ["anger_", "angry_"]),
        (["happy", "happy "], {}, ["happy_", "happy__"]),
        (["Happy", "happy"], {"Happy": "happy"}, ["Happy_", "happy_"]),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_labels(labels, mapping, prefixes):
    members = applied([*labels, "sad"], mapping).members
    paths = sorted(member.path for member in members)
    assert paths == sorted(
        [f"{labels[0].lower()}/{prefix}{i}.png" for prefix in prefixes for i in (0, 1)]
        + ["sad/0.png", "sad/1.png"]
    )


@pytest.mark.parametrize(
    ("labels", "mapping", "remedy"),
    [
        (["Happy", "happy", "sad"], {}, "{Happy: 'happy'}"),
        (["HAPPY", "Happy", "sad"], {}, "{HAPPY: 'Happy'}"),
        (["1", "happy", "sad"], {"1": "Happy", "sad": None}, "{1: 'happy', sad: null}"),
        (["STRASSE", "stra\u00dfe"], {}, "{STRASSE: 'stra\u00dfe'}"),
    ],
)
def test_classes_that_differ_in_case_only_are_an_error_with_the_map_to_paste(
    labels, mapping, remedy
):
    message = refused(labels, mapping)
    assert message.endswith(f"differ in case only; to merge them, set {classes.KEY} to {remedy}")


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "", "a\n"])
def test_a_label_that_cannot_be_a_folder_is_an_error(name):
    if name == "a\n":
        assert class_names(applied([name, "b"])) == ["a", "b"]  # as a blank
    else:
        assert "cannot be the name of a class; rename it in download" in refused([name, "b"])


@pytest.mark.parametrize(
    ("labels", "notes"),
    [
        (
            ["angry", "anger", "Happiness", "happy", "neutral"],
            [
                "classes look alike: Happiness and happy, anger and angry; to merge them, set "
                "download.layout.classes to {angry: 'anger', happy: 'Happiness'}"
            ],
        ),
        (
            ["smirk", "smirks", "sad"],
            [
                "classes look alike: smirk and smirks; to merge them, set "
                "download.layout.classes to {smirks: 'smirk'}"
            ],
        ),
        (["angry", "happy", "calm", "neutral"], []),
        (
            [" sad", "happy"],
            ["' sad' is read as 'sad': blanks around a name do not count"],
        ),
        (
            [f"S{number:03}" for number in range(10)],
            [
                "the 10 classes (S000, S001, S002, ...) look like people or sequences, not "
                "expressions; if they are, set download.layout, for which `ferpipe inspect` helps"
            ],
        ),
    ],
)
def test_doubtful_class_names_give_one_note(labels, notes):
    assert applied(labels).notes == notes


def test_a_map_to_paste_is_of_labels_not_of_classes():
    found = applied("123", {"1": "angry"}, {"2": "anger", "3": "sad"})
    assert found.notes[0].endswith("download.layout.classes to {1: 'anger'}")
    assert applied("123", {"1": "anger"}, {"2": "anger", "3": "sad"}).notes == []
