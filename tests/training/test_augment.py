import numpy as np
import pytest
from networks import NO_AUGMENT

from ferpipe.model.backend import keras
from ferpipe.training.augment import augmented


def changed(images, seed=0, **changes):
    params = NO_AUGMENT.model_copy(update=changes)
    return keras.ops.convert_to_numpy(augmented(images, np.random.default_rng(seed), params))


@pytest.fixture
def images():
    return np.random.default_rng(5).integers(0, 256, (64, 12, 12, 3), dtype=np.uint8)


def test_without_augmentation_images_stay_the_same(images):
    assert np.array_equal(changed(images), images)


def test_flip_mirrors_about_half_of_the_images_exactly(images):
    result = changed(images, flip=True)
    same = [np.array_equal(a, b) for a, b in zip(result, images, strict=True)]
    mirrored = [np.allclose(a, b[:, ::-1], atol=0.01) for a, b in zip(result, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 16 < sum(mirrored) < 48


def test_images_are_a_function_of_the_generator_and_within_their_range(images):
    every = {"flip": True, "rotate": 90.0, "shift": 0.3, "zoom": 0.5, "contrast": 0.9}
    result = changed(images, 1, **every)
    assert np.array_equal(result, changed(images, 1, **every))
    assert not np.array_equal(result, changed(images, 2, **every))
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255


def moved_dot(seed, **changes):
    """Where a bright pixel 8 pixels right of the centre moves, relative to the centre."""
    image = np.zeros((1, 33, 33, 1), np.uint8)
    image[0, 16, 24] = 255
    weight = changed(image, seed, **changes)[0, :, :, 0]
    y, x = np.indices(weight.shape)
    return (y * weight).sum() / weight.sum() - 16, (x * weight).sum() / weight.sum() - 16


@pytest.mark.parametrize("seed", range(5))
def test_rotation_zoom_and_shift_stay_within_their_limits(seed):
    y, x = moved_dot(seed, rotate=45.0)
    assert np.hypot(y, x) == pytest.approx(8, abs=0.3)
    assert abs(np.degrees(np.arctan2(y, x))) <= 46
    y, x = moved_dot(seed, zoom=0.5)
    assert y == pytest.approx(0, abs=0.3)
    assert 8 / 1.5 - 0.5 <= x <= 8 * 1.5 + 0.5
    y, x = moved_dot(seed, shift=0.1)
    assert max(abs(y), abs(x - 8)) <= 3.4


def test_contrast_keeps_the_mean_and_scales_the_differences():
    image = np.full((1, 8, 8, 1), 100, np.uint8)
    image[:, :4] = 120
    result = changed(image, contrast=0.5)
    assert result.mean() == pytest.approx(110, abs=1e-3)
    assert np.ptp(result) == pytest.approx(20, rel=0.51)
    assert np.ptp(result) != pytest.approx(20, rel=0.01)
