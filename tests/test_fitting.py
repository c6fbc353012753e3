import numpy as np
import pytest
from networks import bars, train_params

from ferpipe.fitting import batches, class_weights


def test_an_epoch_shows_every_image_and_fills_the_last_batch():
    training = bars(50, seed=1)
    epoch = list(batches(train_params(), 0, training))
    assert [len(batch) for batch in epoch] == [8] * 7
    seen = np.concatenate(epoch)
    assert set(seen) == set(range(50))
    assert list(seen[50:]) == list(seen[:6])
    other = np.concatenate(list(batches(train_params(), 1, training)))
    assert not np.array_equal(seen, other)


def test_a_batch_larger_than_the_data_is_filled_up():
    (batch,) = batches(train_params(batch_size=64), 0, bars(20, seed=1))
    assert len(batch) == 64
    assert set(batch) == set(range(20))


def test_balanced_class_weights_make_every_class_count_the_same():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3, "balanced")
    totals = [weights[label] * np.sum(labels == label) for label in range(3)]
    assert totals == pytest.approx([10 / 3] * 3)
    assert class_weights(labels, 3, "none").tolist() == [1, 1, 1]
