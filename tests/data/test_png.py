import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ferpipe.data import png


def gray(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def idat(data):
    """The data of the only IDAT chunk."""
    start = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, start - 4)
    return data[start + 4 : start + 4 + length]


@pytest.mark.parametrize(
    "shape", [(1, 1), (48, 48), (255, 256), (256, 255), (300, 400), (3, 70000)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_has_the_pixels_and_stored_blocks_of_the_largest_size(shape, channels):
    pixels = gray(shape[0], shape[1] * channels)
    pixels = pixels if channels == 1 else pixels.reshape(*shape, 3)
    data = png.encode(pixels)
    image = Image.open(io.BytesIO(data))
    assert image.mode == ("L" if channels == 1 else "RGB")
    assert np.array_equal(np.asarray(image), pixels)
    png.check(data)
    assert png.bits(data) == 8

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    stream, sizes = idat(data)[2:-4], []
    while stream:
        last, size = struct.unpack_from("<BH", stream)
        stream = stream[5 + size :]
        sizes.append(size)
        assert last == (not stream)
    assert sum(sizes) == len(rows)
    assert all(size == png.STORED for size in sizes[:-1])
    assert zlib.decompress(idat(data)) == rows
