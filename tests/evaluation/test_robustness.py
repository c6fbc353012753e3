import numpy as np
import pytest

from ferpipe.evaluation import robustness
from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.evaluation.result import Result

DARKNESS = next(each for each in CORRUPTIONS if each.name == "darkness")
LABELS = np.arange(20) % 2
# The first class is dark, the second bright.
IMAGES = np.where(LABELS, 200, 60).astype(np.uint8)[:, None, None, None] * np.ones(
    (1, 8, 8, 1), np.uint8
)


class ByBrightness:
    """A classifier that takes a mean of 100 and more as bright."""

    def __init__(self):
        self.counts = []

    def __call__(self, images):
        self.counts.append(len(images))
        return np.eye(2)[(images.mean(axis=(1, 2, 3)) >= 100).astype(int)]


def result(subjects=(), selected_on_test=False):
    probabilities = np.eye(2)[LABELS]
    paths = [f"{number}.png" for number in range(20)]
    return Result(["dark", "bright"], paths, LABELS, probabilities, selected_on_test, subjects)


def test_accuracy_is_measured_at_each_strength_in_one_go():
    predict = ByBrightness()
    table = robustness.measure(result(), IMAGES, predict, [DARKNESS], 0.95)
    assert table["corruption"].tolist() == ["none", "darkness", "darkness", "darkness"]
    assert table["strength"].dropna().tolist() == [40, 60, 80]
    assert table["unit"].dropna().tolist() == ["% less light"] * 3
    # 40% less than 200 is above 100 still, 60% less is not.
    assert table["accuracy"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert predict.counts == [60]


@pytest.mark.parametrize("people", [0, 10])
def test_intervals_are_those_of_the_project(people):
    subjects = [f"S{number % people}" for number in range(20)] if people else ()
    shown = result(subjects, selected_on_test=True)
    table = robustness.measure(shown, IMAGES, ByBrightness(), [DARKNESS], 0.9)
    expected = shown.count(np.zeros(20, int)).accuracy_interval(0.9).columns("accuracy")
    row = table.iloc[-1].where(table.iloc[-1].notna(), None)
    assert row[list(expected)].to_dict() == expected
    assert list(table)[3:] == ["images", "accuracy", *expected, "selected_on"]
    assert set(table["selected_on"]) == {"test"}


def test_without_corruptions_only_the_images_as_they_are_are_in_the_table():
    predict = ByBrightness()
    table = robustness.measure(result(), IMAGES, predict, (), 0.95)
    assert table[["corruption", "accuracy", "images"]].values.tolist() == [["none", 1.0, 20]]
    assert predict.counts == []


def test_of_many_images_some_are_used_evenly(monkeypatch):
    monkeypatch.setattr(robustness, "MOST_IMAGES", 8)
    assert robustness.subsample(8).tolist() == list(range(8))
    assert robustness.subsample(20).tolist() == [0, 2, 5, 7, 10, 12, 15, 17]
    predict = ByBrightness()
    table = robustness.measure(result(), IMAGES, predict, [DARKNESS], 0.95)
    assert set(table["images"]) == {8}
    assert table["accuracy"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert predict.counts == [24]
