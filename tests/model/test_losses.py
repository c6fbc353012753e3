import math

import numpy as np
import pytest
from sklearn import metrics as reference

from ferpipe.model.losses import fit_temperature, log_loss, softmax


def test_softmax_is_float64_also_of_huge_logits():
    probabilities = softmax(np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]], np.float32))
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert probabilities[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_log_loss_is_that_of_scikit_learn_with_a_larger_limit():
    rng = np.random.default_rng(0)
    probabilities = softmax(rng.normal(size=(50, 4)))
    labels = rng.integers(0, 4, 50)
    expected = reference.log_loss(labels, probabilities, labels=range(4))
    assert log_loss(labels, probabilities) == pytest.approx(expected)
    assert log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-math.log(1e-7))


def noisy_scores(count, noise, seed=1):
    """Labels, and scores of about 1 for the true one of seven classes, 0 for the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, count)
    return labels, np.eye(7)[labels] + rng.normal(0, noise, (count, 7))


def smoothed_loss(labels, logits):
    """Cross entropy with 0.5 / (n + 1) of each target moved to the strongest rival."""
    rows, wrong = np.arange(len(labels)), 0.5 / (len(labels) + 1)
    rivals = logits.copy()
    rivals[rows, labels] = -np.inf
    targets = np.zeros(logits.shape)
    targets[rows, labels] = 1 - wrong
    targets[rows, rivals.argmax(axis=1)] = wrong
    return -(targets * np.log(softmax(logits))).sum(axis=1).mean()


@pytest.mark.parametrize(("count", "noise"), [(200, 0.7), (50, 0.3), (98, 0.05)])
def test_the_temperature_minimises_the_smoothed_loss(count, noise):
    labels, scores = noisy_scores(count, noise)
    fitted = fit_temperature(scores, labels, (0.001, 100.0))
    low, best, high = (smoothed_loss(labels, scores / (fitted * f)) for f in (0.98, 1, 1.02))
    assert best < min(low, high)


def test_if_all_are_correct_it_is_within_its_bounds_and_falls_with_their_number(capsys):
    few, many = (
        fit_temperature(np.eye(7)[np.arange(count) % 7], np.arange(count) % 7, (1 / 30, 1.0))
        for count in (35, 3500)
    )
    assert 1 / 30 < many < few < 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("scale", "bound"), [(1e-4, 0.1), (1e4, 10.0)])
def test_a_temperature_at_its_bound_is_reported(scale, bound, capsys):
    labels, scores = noisy_scores(98, 0.3)
    assert fit_temperature(scale * scores, labels, (0.1, 10.0)) == pytest.approx(bound, rel=1e-3)
    line = capsys.readouterr().out
    assert line.startswith("train: the temperature (")
    assert "has reached its bound" in line
    assert line.count("\n") == 1
