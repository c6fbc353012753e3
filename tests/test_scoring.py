import math

import numpy as np
import pytest
from sklearn import metrics

from ferpipe import scoring


def test_softmax_rows_sum_to_one_also_for_huge_logits():
    logits = np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]], np.float32)
    probabilities = scoring.softmax(logits)
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert probabilities[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_log_loss_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities = scoring.softmax(rng.normal(size=(50, 4)))
    labels = rng.integers(0, 4, 50)
    expected = metrics.log_loss(labels, probabilities, labels=range(4))
    assert scoring.log_loss(labels, probabilities) == pytest.approx(expected)


def test_a_sure_mistake_costs_a_finite_log_loss():
    probabilities = np.array([[1.0, 0.0]])
    assert scoring.log_loss(np.array([1]), probabilities) == pytest.approx(-math.log(1e-7))


def test_confusion_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(0, 5, (2, 200))
    expected = metrics.confusion_matrix(labels, predicted, labels=range(6))
    assert (scoring.confusion(labels, predicted, 6) == expected).all()


def test_the_confusion_table_has_every_pair_in_the_order_of_the_data():
    classes = ["sadness", "anger", "surprise"]
    counts = scoring.confusion(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 0]), 3)
    rows = scoring.confusion_rows(counts, classes, "val")
    assert [row[:2] for row in rows] == [(a, b) for a in classes for b in classes]
    assert {row[4] for row in rows} == {"val"}
    found = {row[:2]: row[2:4] for row in rows}
    assert found["anger", "sadness"] == (1, pytest.approx(1 / 3))
    assert found["sadness", "anger"] == (1, 1.0)
    assert found["surprise", "surprise"] == (0, 0.0)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    # The first is the published interval of 195 of 196; the others are textbook values.
    [
        (195, 196, 0.9717, 0.9991),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_wilson_gives_known_intervals(hits, total, low, high):
    assert scoring.wilson(hits, total, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_wilson_without_images_says_nothing():
    assert scoring.wilson(0, 0, 0.95) == (0.0, 1.0)


def test_a_higher_level_gives_a_wider_interval():
    low, high = scoring.wilson(30, 40, 0.8)
    lower, higher = scoring.wilson(30, 40, 0.99)
    assert lower < low < 0.75 < high < higher
