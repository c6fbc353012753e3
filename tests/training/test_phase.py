import pytest

from ferpipe.training.phase import Phase


def rates(epochs, warmup_epochs, schedule, epoch_steps=10):
    phase = Phase("fine-tune", epochs, 0.8, schedule, warmup_epochs)
    return [phase.learning_rate(step, epoch_steps) for step in range(epochs * epoch_steps)]


def test_warm_up_rises_linearly_to_the_peak_and_constant_stays_there():
    warmup, rest = rates(3, 1, "constant")[:10], rates(3, 1, "constant")[10:]
    assert warmup == pytest.approx([0.08 * step for step in range(1, 11)])
    assert set(rest) == {0.8}


def test_cosine_falls_to_half_midway_and_to_nearly_nothing_at_the_end():
    cosine = rates(7, 1, "cosine")[10:]
    assert cosine == sorted(cosine, reverse=True)
    assert (cosine[0], cosine[30]) == pytest.approx((0.8, 0.4))
    assert 0 < cosine[-1] < 0.001
