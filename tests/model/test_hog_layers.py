import json
import zipfile

import numpy as np
import pytest

from ferpipe.evaluation import hog
from ferpipe.model import hog_layers, saving
from ferpipe.model.backend import keras


def network(side=48, channels=1):
    image = keras.Input((side, side, channels))
    return keras.Model(image, hog_layers.histograms(image))


def ramp(angle):
    """A picture that grows brighter along one direction, in radians."""
    down, across = np.mgrid[:48, :48]
    return (128 + 2 * (across * np.cos(angle) + down * np.sin(angle)))[None, ..., None]


def noise(count=4, side=48, channels=1):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, channels)).astype(np.float32)


@pytest.mark.parametrize("turn", range(hog_layers.BINS))
def test_a_ramp_falls_into_the_bin_of_its_direction(turn):
    found = network().predict(ramp(2 * np.pi * turn / hog_layers.BINS), verbose=0)
    middle = found[0, 3, 3].reshape(4, hog_layers.BINS)
    assert (middle.argmax(axis=1) == turn).all()


def test_between_two_directions_both_bins_get_the_same():
    found = network().predict(ramp(np.pi / hog_layers.BINS), verbose=0)[0, 3, 3, : hog_layers.BINS]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0] > 5 * found[2]


def test_every_block_has_length_one_and_no_share_is_large():
    found = network().predict(noise(), verbose=0)
    assert found.shape == (4, 7, 7, 48)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0, rtol=1e-4)
    assert found.min() >= 0
    assert found.max() < 2 * hog_layers.CLIP


def test_brightness_and_contrast_change_nothing():
    pictures = noise()
    same = network().predict(0.5 * pictures + 20, verbose=0)
    np.testing.assert_allclose(network().predict(pictures, verbose=0), same, atol=1e-4)


def test_a_picture_of_one_tone_gives_zeros():
    assert not network().predict(np.full((1, 48, 48, 1), 90.0), verbose=0).any()


def test_three_equal_channels_are_as_gray():
    pictures = noise()
    gray = network().predict(pictures, verbose=0)
    rgb = network(channels=3).predict(np.repeat(pictures, 3, axis=3), verbose=0)
    np.testing.assert_allclose(gray, rgb, atol=1e-4)


def test_another_size_is_resized():
    assert network(side=64).predict(noise(side=64), verbose=0).shape == (4, 7, 7, 48)


def test_it_tells_what_the_bar_without_a_network_tells():
    """The two binnings differ a little; what they say of pictures should not."""
    pictures = noise()
    ours = network().predict(pictures, verbose=0).reshape(len(pictures), 49, 4, 12)
    bar = hog.features(pictures.astype(np.uint8)).reshape(len(pictures), 49, 4, 12)
    together = np.corrcoef(ours.ravel(), bar.ravel())[0, 1]
    assert together > 0.9


def test_a_saved_network_needs_nothing_but_keras(tmp_path):
    path = tmp_path / "gradients.keras"
    model = network()
    saving.save(model, path)
    with zipfile.ZipFile(path) as zipped:
        config = zipped.read("config.json").decode()
    assert "ferpipe" not in json.dumps(json.loads(config))
    loaded = keras.saving.load_model(path, safe_mode=True)
    expected = model.predict(noise(), verbose=0)
    np.testing.assert_array_equal(loaded.predict(noise(), verbose=0), expected)
    assert not loaded.trainable_variables
