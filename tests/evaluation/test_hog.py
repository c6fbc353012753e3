import numpy as np
import pytest
from networks import bars

from ferpipe.evaluation import hog

TRAINING, TEST = bars(60, seed=1), bars(30, seed=2)


@pytest.fixture(scope="module")
def rows():
    return hog.features(TRAINING.images)


@pytest.fixture(scope="module")
def unseen():
    return hog.features(TEST.images)


def ramp(degrees):
    """A picture that gets lighter in one direction: 0 to the right, 90 downwards."""
    y, x = np.mgrid[:48, :48] - 23.5
    angle = np.radians(degrees)
    return np.round(128 + 2 * (x * np.cos(angle) + y * np.sin(angle))).astype(np.uint8)[..., None]


def test_features_are_the_histograms_of_all_blocks(rows):
    assert rows.shape == (60, 7 * 7 * 4 * 12)
    assert rows.dtype == np.float64
    assert (rows >= 0).all()
    # Each block has length 1.
    assert np.linalg.norm(rows.reshape(60, 49, 48), axis=2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("step", range(0, 12, 3))
def test_a_ramp_fills_the_bin_of_its_direction(step):
    histograms = hog.features(ramp(30 * step)[None]).reshape(7, 7, 4, 12)
    inner = histograms[1:-1, 1:-1].sum(axis=(0, 1, 2))
    assert inner.argmax() == step
    assert inner[step] > 0.99 * inner.sum()


def test_the_contrast_of_a_picture_hardly_counts():
    image = np.random.default_rng(0).integers(60, 190, (1, 48, 48, 1)).astype(np.uint8)
    weaker = (image // 2).astype(np.uint8)
    assert np.abs(hog.features(image) - hog.features(weaker)).max() < 0.02


@pytest.mark.parametrize("shape", [(48, 48, 1), (16, 16, 1), (100, 100, 3)])
def test_a_picture_of_any_side_and_colour_without_edges_has_features_of_0(shape):
    features = hog.features(np.full((2, *shape), 77, np.uint8))
    assert features.shape == (2, 2352)
    assert not features.any()


def test_it_learns_in_any_order_of_the_images(rows, unseen):
    forward = hog.fit(rows, TRAINING.labels)(unseen)
    assert (forward == TEST.labels).all()
    assert (hog.fit(rows[::-1], TRAINING.labels[::-1])(unseen) == forward).all()


def test_a_class_in_the_middle_without_images_is_never_predicted(rows, unseen):
    kept = TRAINING.labels != 1
    assert set(hog.fit(rows[kept], TRAINING.labels[kept])(unseen)) == {0, 2}


def test_the_same_few_of_too_many_images_are_drawn_each_time(monkeypatch):
    monkeypatch.setattr(hog, "MOST_IMAGES", 20)
    drawn = hog.subsample(60)
    assert len(set(drawn)) == 20
    assert sorted(drawn) == list(drawn) == list(hog.subsample(60))
    assert hog.subsample(20).tolist() == list(range(20))
