import base64
import io

import numpy as np
import pytest
from PIL import Image

from ferpipe.report import faces


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_uri_contains_the_pixels_exactly(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, channels), dtype=np.uint8)
    np.testing.assert_array_equal(
        np.asarray(decoded(faces.data_uri(pixels))).reshape(pixels.shape), pixels
    )


def test_a_large_image_is_reduced():
    assert decoded(faces.data_uri(np.zeros((300, 300, 3), np.uint8))).size == (96, 96)


def test_heat_is_orange_and_its_absence_changes_nothing():
    pixels = np.full((2, 2, 1), 100, np.uint8)
    heat = np.array([[0, 255], [0, 0]], np.uint8)
    overlay = faces.overlay(pixels, heat)
    assert overlay[0, 0].tolist() == [100, 100, 100]
    red, green, blue = map(int, overlay[0, 1])
    assert red > 150 > green > blue
