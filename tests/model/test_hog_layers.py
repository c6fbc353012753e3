import zipfile

import numpy as np
import pytest

from ferpipe.evaluation import hog
from ferpipe.model import hog_layers, saving
from ferpipe.model.backend import keras

NOISE = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1)).astype(np.float32)


def network(shape):
    image = keras.Input(shape)
    return keras.Model(image, hog_layers.histograms(image))


def histograms(images):
    return network(images.shape[1:]).predict(images, verbose=0)


def centre_block(angle):
    """Histograms in the middle of an image that grows brighter in a direction, in radians."""
    y, x = np.mgrid[:48, :48]
    ramp = 128 + 2 * (x * np.cos(angle) + y * np.sin(angle))
    return histograms(ramp[None, ..., None])[0, 3, 3].reshape(4, hog_layers.BINS)


@pytest.mark.parametrize("direction", range(hog_layers.BINS))
def test_a_ramp_falls_into_the_bin_of_its_direction(direction):
    block = centre_block(2 * np.pi * direction / hog_layers.BINS)
    assert (block.argmax(axis=1) == direction).all()


def test_a_direction_between_two_bins_counts_for_both_equally():
    first, second, third, *_ = centre_block(np.pi / hog_layers.BINS)[0]
    assert first == pytest.approx(second, rel=1e-4)
    assert first > 5 * third


def test_every_block_has_length_one_and_no_large_bin():
    blocks = histograms(NOISE)
    assert blocks.shape == (4, 7, 7, 48)
    np.testing.assert_allclose(np.linalg.norm(blocks, axis=-1), 1.0, rtol=1e-4)
    assert blocks.min() >= 0
    assert blocks.max() < 2 * hog_layers.CLIP


@pytest.mark.parametrize("same", [0.5 * NOISE + 20, np.repeat(NOISE, 3, axis=3)])
def test_brightness_contrast_and_equal_channels_change_nothing(same):
    np.testing.assert_allclose(histograms(NOISE), histograms(same), atol=1e-4)


def test_images_of_another_size_are_resized_and_those_of_one_gray_level_give_zeros():
    blocks = histograms(np.full((1, 64, 64, 1), 90.0))
    assert blocks.shape == (1, 7, 7, 48)
    assert not blocks.any()


def test_features_agree_with_those_of_the_baseline():
    # The two distribute a gradient over its bins a little differently.
    baseline = hog.features(NOISE.astype(np.uint8))
    assert np.corrcoef(histograms(NOISE).ravel(), baseline.ravel())[0, 1] > 0.9


def test_a_saved_network_needs_nothing_but_keras(tmp_path):
    path = tmp_path / "hog.keras"
    model = network((48, 48, 1))
    saving.save(model, path)
    with zipfile.ZipFile(path) as zipped:
        assert b"ferpipe" not in zipped.read("config.json")
    loaded = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(NOISE, verbose=0), histograms(NOISE))
    assert not loaded.trainable_variables
