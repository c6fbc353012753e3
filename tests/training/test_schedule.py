import pytest

from ferpipe.training.schedule import learning_rate


def test_warm_up_rises_linearly_to_the_peak():
    rates = [learning_rate(step, 100, 4, 0.8, "cosine") for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_constant_stays_at_the_peak():
    assert {learning_rate(step, 10, 2, 0.1, "constant") for step in range(2, 10)} == {0.1}


def test_cosine_falls_to_half_midway_and_to_nearly_nothing_at_the_end():
    assert learning_rate(50, 100, 0, 1.0, "cosine") == pytest.approx(0.5)
    assert 0 < learning_rate(99, 100, 0, 1.0, "cosine") < 0.001


def test_cosine_never_rises_after_warm_up():
    rates = [learning_rate(step, 60, 10, 1.0, "cosine") for step in range(10, 60)]
    assert rates == sorted(rates, reverse=True)
