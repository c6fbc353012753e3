from pathlib import Path

import pytest
from faces import layout, listed

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.layouts import pattern

SOURCE = Path("faces.zip")
JAFFE = r"^(?P<subject>[A-Z]{2})\.(?P<label>[A-Z]{2})\d"
FILES = ("KA.AN1.39.tiff", "KA.HA2.1.tiff", "NA.AN1.7.tiff", "NA.HA1.8.tiff")


def find(regex, *paths, **keys):
    return pattern.members(listed(*paths), layout(kind="pattern", pattern=regex, **keys), SOURCE)


def refused(regex, *paths):
    with pytest.raises(PipelineError) as error:
        find(regex, *paths)
    return str(error.value)


@pytest.mark.parametrize(
    ("regex", "path", "expected"),
    [
        (JAFFE, "KA.AN1.39.tiff", ("AN", "KA.AN1.39.tiff", "", "KA", "")),
        (
            r"A(?P<subject>[FM]\d\d)(?P<label>..)S\.",
            "AF01ANS.JPG",
            ("AN", "AF01ANS.JPG", "", "F01", ""),
        ),
        (r"/(?P<label>[a-z]+)_", "S1/happy_3.png", ("happy", "S1_happy_3.png", "", "", "")),
        (r"/(?P<label>[a-z]+)/", "S1/happy/3.png", ("happy", "S1_3.png", "", "", "")),
        (
            r"(?P<part>t\w+)/(?P<sequence>(?P<subject>\d+)/\d+)/(?P<label>\w)\.",
            "x/train/1/2/H.png",
            ("H", "1_2_H.png", "train", "1", "1/2"),
        ),
        (
            r"_(?P<label>\w+?)_",
            "e\u0301/a_fa\u0301che\u0301_1.png",
            ("f\u00e1ch\u00e9", "\u00e9_a_f\u00e1ch\u00e9_1.png", "", "", ""),
        ),
    ],
)
def test_groups_are_facts_and_folders_that_are_none_are_in_the_name(regex, path, expected):
    more = "x/test/5/5/A.png" if path.startswith("x") else "b/b_b_b.png"
    found = find(f"{regex}|$", path, more)
    label, name, _, part, subject, sequence = found.members[0]
    assert (label, name, part, subject, sequence) == expected


def test_a_pattern_without_label_is_an_error():
    for regex in (None, r"(?P<subject>\d)"):
        assert "download.layout.pattern should have the group (?P<label>...)" in refused(regex, "1")


@pytest.mark.parametrize(
    ("regex", "paths", "count"),
    [
        (JAFFE, ["a.png", "b.png"], "2 of 2"),
        (JAFFE, ["KA.AN1.39.tiff", "a.png", "b.png"], "2 of 3"),
        (r"(?P<label>x)|$", ["a.png"], "1 of 1"),
    ],
)
def test_images_that_do_not_match_are_an_error_if_they_are_most(regex, paths, count):
    message = refused(regex, *paths)
    assert message.startswith(f"faces.zip: {count} images do not match download.layout.pattern = ")
    assert message.endswith("; change it, or end it with `|$` to leave all others out")
    assert ", such as a.png" in message


def test_a_few_that_do_not_match_are_listed_with_a_note():
    found = find(JAFFE, *FILES, "logo.png")
    assert len(found.members) == 4
    assert found.skipped == [("logo.png", "does not match download.layout.pattern")]
    assert found.notes == [
        "1 of 5 images do not match download.layout.pattern and are left out, such as logo.png"
    ]


def test_a_match_without_label_leaves_an_image_out_on_purpose():
    found = find(JAFFE + "|$", *FILES, *(f"{number}.png" for number in range(9)))
    assert len(found.members) == 4
    assert found.skipped[0] == ("0.png", "has no label by download.layout.pattern")
    assert found.notes == []


def test_a_part_that_is_not_known_is_an_error_until_it_is_named():
    regex, paths = r"(?P<part>f\d)_(?P<label>\w+)\.", ("f1_a.png", "f2_b.png")
    assert "official parts: f1, f2 is no official part; name it in" in refused(regex, *paths)
    found = find(regex, *paths, parts={"f1": "train", "f2": "val"})
    assert [member.part for member in found.members] == ["train", "val"]


def test_a_part_of_several_folders_can_be_in_the_names():
    regex = r"(?P<part>db/f\d)/(?P<label>\w)\."
    found = find(regex, "db/f1/a.png", "db/f2/a.png", parts={"db/f1": "train", "db/f2": "test"})
    assert [member.path for member in found.members] == ["a/db_f1_a.png", "a/db_f2_a.png"]
