import numpy as np
import pytest
from networks import bars

from ferpipe.evaluation import hog


def ramp(degrees):
    """A picture that gets lighter in one direction: 0 to the right, 90 downwards."""
    y, x = np.mgrid[:48, :48] - 23.5
    angle = np.radians(degrees)
    return np.round(128 + 2 * (x * np.cos(angle) + y * np.sin(angle))).astype(np.uint8)[..., None]


def test_features_are_the_histograms_of_all_blocks():
    rows = hog.features(bars(3, seed=1, side=48).images)
    assert rows.shape == (3, 7 * 7 * 4 * 12)
    assert rows.dtype == np.float64
    assert (rows >= 0).all()
    # Each block has length 1.
    assert np.linalg.norm(rows.reshape(3, 49, 48), axis=2) == pytest.approx(1, abs=0.02)


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


def test_a_picture_without_edges_has_no_features():
    assert (hog.features(np.full((1, 48, 48, 1), 77, np.uint8)) == 0).all()


@pytest.mark.parametrize("shape", [(48, 48, 1), (16, 16, 1), (100, 100, 3)])
def test_pictures_of_any_side_and_colour_have_the_same_number_of_features(shape):
    assert hog.features(np.zeros((2, *shape), np.uint8)).shape == (2, 2352)


def test_it_learns_what_can_be_learned():
    training, judged = bars(60, seed=1), bars(30, seed=2)
    classify = hog.fit(hog.features(training.images), training.labels)
    assert (classify(hog.features(judged.images)) == judged.labels).all()


def test_the_order_of_the_images_changes_nothing():
    training, judged = bars(60, seed=1), hog.features(bars(30, seed=2).images)
    rows = hog.features(training.images)
    forward = hog.fit(rows, training.labels)(judged)
    backward = hog.fit(rows[::-1], training.labels[::-1])(judged)
    assert (forward == backward).all()


def test_a_class_in_the_middle_without_images_is_never_predicted():
    training = bars(60, seed=1)
    kept = training.labels != 1
    classify = hog.fit(hog.features(training.images[kept]), training.labels[kept])
    assert set(classify(hog.features(bars(30, seed=2).images))) == {0, 2}


def test_of_too_many_images_the_same_few_are_drawn_each_time(monkeypatch):
    monkeypatch.setattr(hog, "MOST_IMAGES", 20)
    training, test = bars(60, seed=1), hog.features(bars(30, seed=2).images)
    rows = hog.features(training.images)
    drawn = hog.subsample(60)
    assert len(set(drawn)) == 20
    assert sorted(drawn) == list(drawn) == list(hog.subsample(60))
    expected = hog.fit(rows[drawn], training.labels[drawn])(test)
    assert (hog.fit(rows, training.labels)(test) == expected).all()


def test_few_images_are_all_learned():
    assert hog.subsample(hog.MOST_IMAGES).tolist() == list(range(hog.MOST_IMAGES))
