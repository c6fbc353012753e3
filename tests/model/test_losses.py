import math

import numpy as np
import pytest
from sklearn import metrics as reference

from ferpipe.model import losses
from ferpipe.model.losses import fit_temperature, log_loss, softmax


def test_softmax_rows_sum_to_one_also_for_huge_logits():
    logits = np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]], np.float32)
    probabilities = losses.softmax(logits)
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert probabilities[0, 0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_log_loss_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities = losses.softmax(rng.normal(size=(50, 4)))
    labels = rng.integers(0, 4, 50)
    expected = reference.log_loss(labels, probabilities, labels=range(4))
    assert losses.log_loss(labels, probabilities) == pytest.approx(expected)


def test_a_sure_mistake_costs_a_finite_log_loss():
    probabilities = np.array([[1.0, 0.0]])
    assert losses.log_loss(np.array([1]), probabilities) == pytest.approx(-math.log(1e-7))


def noisy_scores(count, noise, seed=1):
    """Labels, and scores of about 1 for the true one of seven classes, 0 for the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, count)
    return labels, np.eye(7)[labels] + rng.normal(0, noise, (count, 7))


def smoothed_loss(labels, logits):
    """The cross entropy with half a count given to each true class' strongest rival."""
    everyone, wrong = np.arange(len(labels)), 0.5 / (len(labels) + 1)
    others = logits.copy()
    others[everyone, labels] = -np.inf
    targets = np.zeros(logits.shape)
    targets[everyone, labels] = 1 - wrong
    targets[everyone, others.argmax(axis=1)] = wrong
    return -(targets * np.log(softmax(logits))).sum(axis=1).mean()


@pytest.mark.parametrize(("count", "noise"), [(200, 0.7), (50, 0.3), (98, 0.05)])
def test_the_temperature_has_the_smallest_smoothed_loss(count, noise):
    labels, scores = noisy_scores(count, noise)
    found = fit_temperature(scores, labels, (0.001, 100.0))
    low, middle, high = (smoothed_loss(labels, scores / (found * near)) for near in (0.98, 1, 1.02))
    assert middle < min(low, high)


def test_where_some_are_wrong_it_is_that_of_the_plain_loss():
    labels, scores = noisy_scores(2000, 0.7)
    found = fit_temperature(scores, labels, (0.01, 10.0))
    near = [log_loss(labels, softmax(scores / (found * each))) for each in (0.9, 1, 1.1)]
    assert near[1] == min(near)


def test_where_all_are_right_it_is_finite_and_lower_the_more_there_are(capsys):
    few, many = (
        fit_temperature(np.eye(7)[np.arange(count) % 7], np.arange(count) % 7, (1 / 30, 1.0))
        for count in (35, 3500)
    )
    assert 1 / 30 < many < few < 1
    assert capsys.readouterr().out == ""


def test_a_few_mistakes_of_test_cost_less_than_at_the_bound():
    """98 images of val are all right, two of 98 in test are not."""
    labels, scores = noisy_scores(98, 0.12)
    assert (scores.argmax(axis=1) == labels).all()
    found = fit_temperature(scores, labels, (1 / 30, 1.0))
    test, unseen = noisy_scores(98, 0.12, seed=2)
    unseen[[3, 50]] = np.roll(unseen[[3, 50]], 1, axis=1)
    assert (unseen.argmax(axis=1) != test).sum() == 2
    assert log_loss(test, softmax(unseen / found)) < log_loss(test, softmax(unseen * 30)) / 2


@pytest.mark.parametrize(("scale", "bound"), [(1e-4, 0.1), (1e4, 10.0)])
def test_a_bound_that_is_reached_is_said(scale, bound, capsys):
    labels, scores = noisy_scores(98, 0.3)
    assert fit_temperature(scale * scores, labels, (0.1, 10.0)) == pytest.approx(bound, rel=1e-3)
    assert "train: the temperature (" in (line := capsys.readouterr().out)
    assert "has reached its bound" in line
    assert line.count("\n") == 1
