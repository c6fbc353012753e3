import numpy as np
import pytest

from ferpipe.evaluation import resampling


@pytest.mark.parametrize("block", [1, 500, 2**22])
@pytest.mark.parametrize("people", [1, 6, 30])
def test_blocks_of_draws_give_what_all_at_once_give(monkeypatch, people, block):
    monkeypatch.setattr(resampling, "BLOCK", block)
    monkeypatch.setattr(resampling, "DRAWS", 200)
    resampling._weights.cache_clear()
    drawn = np.random.default_rng(resampling.SEED).multinomial(
        people, np.full(people, 1 / people), size=200
    )
    counts = np.arange(people * 6).reshape(people, 2, 3)
    expected = np.einsum("dp,pij->dij", drawn, counts)
    np.testing.assert_array_equal(resampling.resample(counts), expected)
    resampling._weights.cache_clear()


def test_many_people_take_a_byte_for_each_draw():
    weights = resampling._weights(1000)
    assert weights.nbytes == 1000 * resampling.DRAWS
    assert (weights.sum(axis=1, dtype=int) == 1000).all()
    resampling._weights.cache_clear()
