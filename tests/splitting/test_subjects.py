import pytest
from splits import assign, indexed

from ferpipe.core.errors import PipelineError
from ferpipe.params.split import Split
from ferpipe.splitting.subjects import COLUMNS, groups_of, name_images

PATHS = ["a/S001_002_1.png", "a/face.png", "b/S001_003_1.png"]


@pytest.fixture
def params(values):
    return lambda **changes: Split(**values["split"] | changes)


@pytest.mark.parametrize(
    ("told", "subjects", "sequences"),
    [
        ({}, ["S001", "", "S001"], ["S001_002", "", "S001_003"]),
        ({"subject": ["KA", "KA", ""]}, ["KA", "KA", "S001"], ["S001_002", "", "S001_003"]),
        ({"sequence": ["", "x", ""]}, ["S001", "", "S001"], ["S001_002", "x", "S001_003"]),
        ({"subject": "1", "sequence": "2"}, ["1"] * 3, ["2"] * 3),
    ],
    ids=["names", "subject", "sequence", "both"],
)
def test_the_layout_comes_before_the_name(params, told, subjects, sequences):
    images = name_images(indexed(PATHS, **told), params())
    assert list(images) == list(COLUMNS)
    assert images["subject"].tolist() == subjects
    assert images["sequence"].tolist() == sequences


def test_a_sequence_that_several_people_have_is_one_of_each(params):
    paths = [f"a/{n}.png" for n in range(5)]
    told = {"subject": ["S1", "S2", "S2", "S2", ""], "sequence": ["1", "1", "1", "x", "1"]}
    images = name_images(indexed(paths, **told), params(name_pattern=""))
    assert images["sequence"].tolist() == ["S1_1", "S2_1", "S2_1", "x", "1"]


def test_a_pattern_without_the_group_leaves_what_the_layout_tells(params):
    images = name_images(indexed(PATHS, subject="KA"), params(name_pattern=""))
    assert images["subject"].tolist() == ["KA"] * 3
    assert images["sequence"].tolist() == [""] * 3
    assert groups_of(images, params(name_pattern="")).tolist() == ["KA"] * 3


@pytest.mark.parametrize("group_by", ["subject", "sequence"])
@pytest.mark.parametrize("pattern", ["", r"(?P<other>S\d+)", "sequence"])
def test_a_group_that_neither_pattern_nor_layout_has_is_an_error(params, group_by, pattern):
    if pattern == "sequence":
        pattern = r"(?P<sequence>x)" if group_by == "subject" else r"(?P<subject>x)"
    pattern = pattern.replace("?P<other>", "?:")
    given = params(group_by=group_by, name_pattern=pattern)
    with pytest.raises(PipelineError) as error:
        assign(PATHS, given)
    assert str(error.value) == (
        f"params.yaml: split: group_by = {group_by!r} needs (?P<{group_by}>...) in name_pattern, "
        "or a source whose layout has it"
    )


def test_a_layout_that_tells_the_subject_of_some_images_is_an_error_with_an_example(params):
    images = name_images(indexed(PATHS, subject=["KA", "", "KA"]), params(name_pattern=""))
    with pytest.raises(PipelineError, match="but 1 of 3 file names have no subject, such as a/f"):
        groups_of(images, params(name_pattern=""))


def test_groups_are_the_layouts_subjects(params):
    paths = [f"{label}/{number:03}.png" for label in "ab" for number in range(60)]
    subjects = [f"P{number % 12}" for number in range(120)]
    table = assign(paths, params(), subject=subjects)
    assert table["subject"].tolist() == subjects
    assert (table.groupby("subject")["split"].nunique() == 1).all()
    assert set(table["split"]) == {"train", "val", "test"}
