import numpy as np
import pytest
from networks import NO_AUGMENT

from ferpipe.model.backend import keras
from ferpipe.training import augment


def changed(images, seed=0, **changes):
    params = NO_AUGMENT.model_copy(update=changes)
    rng = np.random.default_rng(seed)
    draws = augment.draw(rng, len(images), images.shape[1], params)
    return keras.ops.convert_to_numpy(augment.apply(images, draws))


@pytest.fixture
def images():
    return np.random.default_rng(5).integers(0, 256, (64, 12, 12, 3), dtype=np.uint8)


def test_nothing_asked_changes_nothing(images):
    assert np.array_equal(changed(images), images)


def test_flip_mirrors_about_half_of_the_images_exactly(images):
    result = changed(images, flip=True)
    same = [np.array_equal(a, b) for a, b in zip(result, images, strict=True)]
    mirrored = [np.allclose(a, b[:, ::-1], atol=0.01) for a, b in zip(result, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 16 < sum(mirrored) < 48


def test_the_same_draws_give_the_same_images(images):
    every = {"flip": True, "rotate": 20.0, "shift": 0.2, "zoom": 0.3, "contrast": 0.4}
    assert np.array_equal(changed(images, 1, **every), changed(images, 1, **every))
    assert not np.array_equal(changed(images, 1, **every), changed(images, 2, **every))


def test_pixels_stay_within_their_range(images):
    result = changed(images, flip=True, rotate=90.0, shift=0.3, zoom=0.5, contrast=0.9)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255


def dot(side=33):
    """One bright pixel right of the centre."""
    image = np.zeros((1, side, side, 1), np.uint8)
    image[0, 16, 24] = 255
    return image


def centre_of_mass(image):
    rows, columns = np.indices(image.shape[1:3])
    weight = image[0, :, :, 0]
    return (rows * weight).sum() / weight.sum(), (columns * weight).sum() / weight.sum()


@pytest.mark.parametrize("seed", range(5))
def test_rotation_keeps_the_distance_from_the_centre(seed):
    row, column = centre_of_mass(changed(dot(), seed, rotate=45.0))
    assert np.hypot(row - 16, column - 16) == pytest.approx(8, abs=0.3)
    assert abs(np.degrees(np.arctan2(row - 16, column - 16))) <= 46


@pytest.mark.parametrize("seed", range(5))
def test_zoom_moves_things_along_the_ray_from_the_centre(seed):
    row, column = centre_of_mass(changed(dot(), seed, zoom=0.5))
    assert row == pytest.approx(16, abs=0.3)
    assert 8 / 1.5 - 0.5 <= column - 16 <= 8 * 1.5 + 0.5


@pytest.mark.parametrize("seed", range(5))
def test_shift_moves_no_further_than_its_share(seed):
    row, column = centre_of_mass(changed(dot(), seed, shift=0.1))
    assert abs(row - 16) <= 3.4
    assert abs(column - 24) <= 3.4


def test_contrast_keeps_the_mean_and_scales_the_differences():
    image = np.full((1, 8, 8, 1), 100, np.uint8)
    image[:, :4] = 120
    result = changed(image, contrast=0.5)
    assert result.mean() == pytest.approx(110, abs=1e-3)
    assert np.ptp(result) == pytest.approx(20, rel=0.51)
    assert np.ptp(result) != pytest.approx(20, rel=0.01)
