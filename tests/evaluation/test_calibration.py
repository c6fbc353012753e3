import math

import numpy as np
import pytest

from ferpipe.evaluation import calibration, intervals
from ferpipe.model import losses


def sure(confidences, right):
    """Probabilities of two classes: the predicted one is 0, and is right where `right` says so."""
    probabilities = np.column_stack([confidences, 1 - np.asarray(confidences)])
    return np.where(right, 0, 1), probabilities


def test_the_error_is_the_mean_distance_of_confidence_and_accuracy():
    # Four images at 0.75, of which two are right; four at 0.95, all right.
    labels, probabilities = sure([0.75] * 4 + [0.95] * 4, [1, 1, 0, 0, 1, 1, 1, 1])
    found = calibration.calibration(labels, probabilities, 0.95)
    assert found.error == pytest.approx((4 * 0.25 + 4 * 0.05) / 8)
    assert [(row.images, row.accuracy) for row in found.bins] == [(4, 0.5), (4, 1.0)]
    assert [row.confidence for row in found.bins] == pytest.approx([0.75, 0.95])
    assert found.log_loss == losses.log_loss(labels, probabilities)


def test_probabilities_that_tell_the_truth_have_almost_no_error():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.5, 1, 40_000)
    labels, probabilities = sure(confidences, rng.random(40_000) < confidences)
    assert calibration.calibration(labels, probabilities, 0.95).error < 0.01


def test_every_image_is_in_a_bin_also_at_the_ends():
    uniform = np.full((1, 15), 1 / 15)
    found = calibration.calibration(np.array([0]), uniform, 0.95)
    assert [(row.low, row.images) for row in found.bins] == [(0.0, 1)]
    labels, probabilities = sure([1.0, 1 + 1e-12], [1, 1])
    (last,) = calibration.calibration(labels, probabilities, 0.95).bins
    assert (last.high, last.images) == (1.0, 2)


def test_a_bin_has_the_interval_of_its_accuracy():
    labels, probabilities = sure([0.75] * 4, [1, 1, 1, 0])
    (row,) = calibration.calibration(labels, probabilities, 0.9).bins
    assert row.interval == intervals.over_images(3, 4, 0.9)


def test_where_people_are_known_the_interval_of_a_bin_is_over_them():
    rng = np.random.default_rng(0)
    confidences = np.where(rng.random(200) < 0.5, 0.75, 0.95)
    right = rng.random(200) < confidences
    labels, probabilities = sure(confidences, right)
    subjects = [f"S{number % 20}" for number in range(200)]
    found = calibration.calibration(labels, probabilities, 0.95, subjects=subjects)
    for row, confidence in zip(found.bins, (0.75, 0.95), strict=True):
        within = confidences == confidence
        who = np.array(subjects)[within]
        hits, images = (
            np.array([[(within_right)[who == name].sum()] for name in sorted(set(who))])
            for within_right in (right[within], np.ones(within.sum(), int))
        )
        assert row.interval.method == "bootstrap over subjects"
        assert row.interval.people == len(set(who)) == 20
        assert [row.interval] == intervals.bootstrap_shares(hits, images, 0.95)


def test_a_bin_with_the_images_of_one_person_says_nothing_of_others():
    labels, probabilities = sure([0.75] * 40 + [0.95] * 40, [1] * 30 + [0] * 10 + [1] * 40)
    subjects = ["S1"] * 40 + [f"S{number}" for number in range(40)]
    first, _ = calibration.calibration(labels, probabilities, 0.95, subjects=subjects).bins
    assert first.interval == intervals.Interval(
        *intervals.wilson(0.75, 1, 0.95), "Wilson over subjects", 1
    )


def test_the_error_is_summed_exactly():
    """Not by `sum`, whose last bits follow the version of Python."""
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.5, 1, 1024)
    labels, probabilities = sure(confidences, rng.random(1024) < 0.8)
    found = calibration.calibration(labels, probabilities, 0.95)
    distances = [row.images * abs(row.accuracy - row.confidence) for row in found.bins]
    assert found.error == math.fsum(distances) / 1024
    naive = 0.0
    for distance in distances:
        naive += distance
    assert found.error != naive / 1024


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_can_be_taken_back(temperature):
    logits = np.random.default_rng(0).normal(size=(20, 5)) * 3
    found = calibration.uncalibrated(losses.softmax(logits / temperature), temperature)
    assert found == pytest.approx(losses.softmax(logits))


def test_before_and_after_are_told_apart_in_numbers_and_rows():
    logits = np.random.default_rng(1).normal(size=(200, 3)) * 8
    labels = np.random.default_rng(2).integers(0, 3, 200)
    before, after = calibration.before_and_after(labels, losses.softmax(logits / 4), 4.0, 0.95)
    assert before.log_loss == pytest.approx(losses.log_loss(labels, losses.softmax(logits)), 1e-3)
    assert before.error > after.error
    assert calibration.calibration_metrics([before, after]) == {
        "ece": after.error,
        "ece_uncalibrated": before.error,
        "log_loss_uncalibrated": before.log_loss,
    }
    rows = calibration.reliability_rows([before, after], "test")
    assert {(row[0], row[1], row[-1]) for row in rows} == {
        ("before", 1.0, "test"),
        ("after", 4.0, "test"),
    }
    assert all(len(row) == len(calibration.RELIABILITY_HEADER) for row in rows)


def test_without_a_temperature_there_is_one_curve():
    labels, probabilities = sure([0.8, 0.9], [1, 0])
    (only,) = calibration.before_and_after(labels, probabilities, 1.0, 0.95)
    assert calibration.calibration_metrics([only])["ece"] == only.error
    assert {row[0] for row in calibration.reliability_rows([only], "val")} == {"before"}
