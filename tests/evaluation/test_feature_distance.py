import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ferpipe.evaluation.feature_distance import DIRECTIONS, FeatureDistance, fit

MEANS = 3 * np.eye(3, DIRECTIONS)
SCALES = np.linspace(0.1, 2, DIRECTIONS)


def drawn(count, seed, labels=(0, 1, 2)):
    """Features around the mean of each label, and the labels."""
    chosen = np.resize(labels, count)
    noise = np.random.default_rng(seed).normal(size=(count, DIRECTIONS))
    return MEANS[chosen] + SCALES * noise, chosen


@pytest.fixture(scope="module")
def distance():
    return fit(*drawn(2000, 1), drawn(1000, 2)[0], "val")


def test_it_is_the_mahalanobis_distance_to_the_nearest_mean(distance):
    others, _ = drawn(50, 3)
    expected = cdist(others, MEANS, "mahalanobis", VI=np.diag(SCALES**-2.0)).min(axis=1)
    np.testing.assert_allclose(distance.relative(others) * distance.limit, expected, rtol=0.1)


def test_one_in_a_hundred_of_those_held_out_is_beyond_the_limit(distance):
    assert (distance.relative(drawn(1000, 2)[0]) > 1).sum() == 10
    assert (distance.relative(drawn(10000, 4)[0]) > 1).mean() == pytest.approx(0.01, abs=0.005)
    assert (distance.relative(drawn(100, 5)[0] + SCALES * 3) > 1).all()
    # Between two classes is unlike both.
    between = np.full((1, DIRECTIONS), 0.0)
    between[0, :2] = 1.5
    assert distance.relative(between) > distance.relative(MEANS[:1])


def test_the_same_features_give_the_same_short_text(distance):
    again = fit(*drawn(2000, 1), drawn(1000, 2)[0], "val")
    text = json.dumps(distance.model_dump(mode="json"))
    assert text == json.dumps(again.model_dump(mode="json"))
    assert FeatureDistance(**json.loads(text)) == distance
    assert len(text) < 30_000
    # The last bits of features differ between machines.
    features, labels = drawn(2000, 1)
    nearly = fit(features * (1 + 1e-14), labels, drawn(1000, 2)[0], "val")
    assert nearly == distance


@pytest.mark.parametrize("labels", [(0, 2), (1,)])
def test_a_class_without_training_images_has_no_mean(labels):
    one = fit(*drawn(200, 1, labels), drawn(100, 2, labels)[0], "test")
    assert len(one.means) == len(labels)
    assert (one.relative(drawn(100, 3, labels)[0]) > 1).mean() < 0.1


@pytest.mark.parametrize("count", [2, 10])
def test_few_images_and_equal_ones_give_a_limit_too(count):
    few = fit(*drawn(count, 1), drawn(count, 2)[0], "val")
    assert np.isfinite(few.relative(drawn(5, 3)[0])).all()
    same = np.ones((count, DIRECTIONS))
    equal = fit(same, np.arange(count) % 2, same, "val")
    assert (equal.relative(same) <= 1).all()
    assert equal.relative(same + 1)[0] > 1
