import numpy as np
import pandas as pd
import pytest

from ferpipe.evaluation import calibration, intervals
from ferpipe.evaluation.intervals import wilson
from ferpipe.model import losses

INTERVAL = ["accuracy_low", "accuracy_high", "interval", "people"]


def two_classes(confidences, right):
    """Labels and probabilities of images that are all predicted as class 0."""
    probabilities = np.column_stack([confidences, 1 - np.asarray(confidences)])
    return np.where(right, 0, 1), probabilities


def measure(confidences, right, level=0.95, subjects=()):
    return calibration.calibration(*two_classes(confidences, right), level, subjects=subjects)


def test_the_error_is_the_mean_distance_of_confidence_and_accuracy():
    # Four images at 0.75, of which two are right; four at 0.95, all right.
    confidences, right = [0.75] * 4 + [0.95] * 4, [1, 1, 0, 0, 1, 1, 1, 1]
    measured = measure(confidences, right)
    assert measured.error == pytest.approx((4 * 0.25 + 4 * 0.05) / 8)
    assert measured.bins["images"].tolist() == [4, 4]
    assert measured.bins["accuracy"].tolist() == [0.5, 1.0]
    assert measured.bins["confidence"].tolist() == pytest.approx([0.75, 0.95])
    assert measured.log_loss == losses.log_loss(*two_classes(confidences, right))


def test_every_image_is_in_a_bin_also_at_the_ends():
    uniform = calibration.calibration(np.array([0]), np.full((1, 15), 1 / 15), 0.95).bins
    assert uniform[["bin_low", "images"]].values.tolist() == [[0, 1]]
    last = measure([1.0, 1 + 1e-12], [1, 1]).bins
    assert last[["bin_high", "images"]].values.tolist() == [[1, 2]]


def test_a_bin_has_the_interval_of_its_accuracy():
    bins = measure([0.75] * 4, [1, 1, 1, 0], level=0.9).bins
    assert bins[INTERVAL].values.tolist() == [[*wilson(3, 4, 0.9), "Wilson over images", pd.NA]]


def test_where_people_are_known_the_interval_of_a_bin_is_over_those_with_images_in_it():
    right = np.arange(80) % 4 > 0
    subjects = ["S1"] * 40 + [f"S{index % 20}" for index in range(40)]
    first, second = measure([0.75] * 40 + [0.95] * 40, right, subjects=subjects).bins.iloc
    assert first[INTERVAL].tolist() == [*wilson(0.75, 1, 0.95), "Wilson over subjects", 1]
    hits = (np.arange(20) % 4 > 0)[:, np.newaxis] * 2
    (over,) = intervals.of_shares(hits, np.full((20, 1), 2), "people", 0.95)
    assert second[INTERVAL].tolist() == [over.low, over.high, "bootstrap over subjects", 20]


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_a_temperature_can_be_undone(temperature):
    logits, labels = np.random.default_rng(0).normal(size=(20, 5)) * 3, np.arange(20) % 5
    probabilities = losses.softmax(logits / temperature)
    before, _ = calibration.before_and_after(labels, probabilities, temperature, 0.95)
    plain = calibration.calibration(labels, losses.softmax(logits), 0.95)
    pd.testing.assert_frame_equal(before.bins, plain.bins)
    assert before.log_loss == pytest.approx(plain.log_loss)


def test_metrics_and_table_have_before_and_after_or_without_a_temperature_only_before():
    logits = np.random.default_rng(1).normal(size=(200, 3)) * 8
    labels = np.random.default_rng(2).integers(0, 3, 200)
    before, after = calibration.before_and_after(labels, losses.softmax(logits / 4), 4.0, 0.95)
    assert before.error > after.error
    assert calibration.calibration_metrics([before, after]) == {
        "ece": after.error,
        "ece_uncalibrated": before.error,
        "log_loss_uncalibrated": before.log_loss,
    }
    table = calibration.reliability_table([before, after], "test")
    assert ",".join(table.columns) == (
        "scaling,temperature,bin_low,bin_high,confidence,accuracy,accuracy_low,accuracy_high,"
        "interval,people,images,selected_on"
    )
    scalings = table[["scaling", "temperature", "selected_on"]].drop_duplicates()
    assert scalings.values.tolist() == [["before", 1.0, "test"], ["after", 4.0, "test"]]
    assert len(table) == len(before.bins) + len(after.bins)
    (only,) = calibration.before_and_after(labels, losses.softmax(logits), 1.0, 0.95)
    assert set(calibration.reliability_table([only], "test")["scaling"]) == {"before"}


def test_accuracy_by_coverage_keeps_the_most_confident_images_and_ties_together():
    labels, probabilities = two_classes([0.6, 0.9, 0.8, 0.8, 0.7], [0, 1, 1, 0, 1])
    table = calibration.accuracy_by_coverage(labels, probabilities)
    assert table["coverage"].tolist() == pytest.approx([1 / 5, 3 / 5, 4 / 5, 1])
    assert table["accuracy"].tolist() == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
