import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.names import parts


@pytest.mark.parametrize(
    ("names", "further", "expected"),
    [
        (("train", "Val", "TEST", "angry"), {}, ("train", "val", "test", None)),
        (("training", "validation", "testing"), {}, ("train", "val", "test")),
        (("train_set", "test-images", "valid data"), {}, ("train", "test", "val")),
        (("Training", "PublicTest", "PrivateTest"), {}, ("train", "val", "test")),
        (("train", "PublicTest"), {}, ("train", "test")),
        (("train", "PublicTest", "test"), {}, ("train", "val", "test")),
        (("train", "PublicTest"), {"publictest": "val"}, ("train", "val")),
        (("1", "fold5"), {"1": "train", "Fold5": "test"}, ("train", "test")),
        (("test", "train"), {"test": "val"}, ("val", "train")),
        (("tests", "trains", "trainee"), {}, (None, None, None)),
    ],
)
def test_names_of_parts_in_any_case_and_further_ones(names, further, expected):
    found = parts.known(names, further)
    assert tuple(found.get(name) for name in names) == expected


def test_a_value_that_is_no_part_is_an_error_that_names_the_key():
    assert parts.required(["Training", "", "test "], {}, "a.csv") == {
        "": "",
        "Training": "train",
        "test ": "test",
    }
    with pytest.raises(PipelineError) as error:
        parts.required(["train", "7", "8"], {}, "a.csv, column Usage")
    assert str(error.value) == (
        "a.csv, column Usage: 7, 8 is no official part; name it in download.layout.parts, such as "
        "{7: train}"
    )


def test_a_further_name_that_is_not_there_is_an_error():
    with pytest.raises(PipelineError, match=r"none is named 'x', .*; there are: test, train$"):
        parts.required(["train", "test", ""], {"x": "val"}, "a.csv")
