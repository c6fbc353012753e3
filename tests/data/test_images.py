"""The image policy, row by row; every image is noise drawn here."""

import hashlib

import numpy as np
import pytest
from faces import encoded, noise, png_by_hand, png_chunk
from image_files import (
    ACCEPTED,
    CANNOT,
    COLOUR,
    CONVERTED,
    DEEP,
    FEW,
    GRAY,
    NEVER,
    NO_IMAGE,
    RAMP,
    REFUSED,
    UPPER,
    rotated,
)
from PIL import Image

from ferpipe.data import formats
from ferpipe.data.images import Conversions, ImageRefused, convert, decode, pixel_digest, square

ALL_ON = Conversions(background="#ff8000", cmyk=True, deep=True, frames=True)


def reason(data):
    with pytest.raises(ImageRefused) as refused:
        decode(data)
    return str(refused.value)


@pytest.mark.parametrize(("data", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_policy_accepts(data, expected):
    image = decode(data)
    assert image.mode == expected.mode
    assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert square(image, 48, "grayscale").shape == (48, 48, 1)


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_what_the_policy_refuses(data, why):
    assert reason(data).startswith(why)


@pytest.mark.parametrize(("data", "expected", "how"), CONVERTED.values(), ids=CONVERTED)
def test_what_is_converted_with_loss_if_allowed(data, expected, how):
    image, used = convert(data, ALL_ON)
    assert used == how
    assert image.mode == expected.mode
    assert np.array_equal(np.asarray(image), np.asarray(expected))
    assert "; download.convert." in reason(data)


@pytest.mark.parametrize(("data", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_needs_no_conversion_has_none(data, expected):
    image, used = convert(data, ALL_ON)
    assert used == []
    assert np.array_equal(np.asarray(image), np.asarray(expected))


@pytest.mark.parametrize("data", NEVER.values(), ids=NEVER)
def test_what_is_never_converted(data):
    for allowed in (Conversions(), ALL_ON):
        with pytest.raises(ImageRefused, match=f"{DEEP}, and not plain 16-bit gray or RGB"):
            convert(data, allowed)


@pytest.mark.parametrize("key", ALL_ON._fields)
def test_one_conversion_does_not_allow_another(key):
    others = ALL_ON._replace(**{key: Conversions()._asdict()[key]})
    names = {"background": "transparent RGBA", "cmyk": "CMYK JPEG", "deep": "16-bit PNG"}
    data = CONVERTED[names.get(key, "GIF of several frames")][0]
    with pytest.raises(ImageRefused, match=f"; download.convert.{key} "):
        convert(data, others)
    only = Conversions()._replace(**{key: ALL_ON._asdict()[key]})
    assert len(convert(data, only)[1]) == 1


def test_damage_is_refused_whatever_is_allowed():
    for data, why in REFUSED.values():
        if why.startswith((CANNOT, NO_IMAGE, "empty")):
            with pytest.raises(ImageRefused):
                convert(data, ALL_ON)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_converted_image_is_upright(orientation):
    expected = UPRIGHT[orientation](np.asarray(UPPER))
    data = rotated("TIFF", Image.fromarray(RAMP), orientation)
    assert np.array_equal(np.asarray(convert(data, ALL_ON)[0]), expected)


def test_the_digest_of_pixels_is_that_of_the_picture_not_of_the_file():
    same = [GRAY, GRAY.convert("RGB"), decode(encoded(GRAY, "BMP"))]
    assert len({pixel_digest(image) for image in same}) == 1
    others = [COLOUR, GRAY.transpose(Image.Transpose.ROTATE_180), GRAY.resize((10, 12))]
    assert len({pixel_digest(image) for image in [GRAY, *others]}) == 4


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_an_image_with_an_exif_orientation_is_turned_upright(orientation, form, mode):
    image = {"L": GRAY, "RGB": FEW, "P": FEW.quantize(16)}[mode]
    expected = UPRIGHT[orientation](np.asarray(FEW if mode == "P" else image))
    assert np.array_equal(np.asarray(decode(rotated(form, image, orientation))), expected)


@pytest.mark.parametrize("form", formats.READ)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_image_is_refused(form, kept):
    data = encoded(noise(4, 40, 40, "RGB"), form)
    assert decode(data).size == (40, 40)
    assert reason(data[: int(len(data) * kept)]).startswith((CANNOT, "not an image"))


MODES = {
    "PNG": ("L", "RGB", "P", "1", "LA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "BMP": ("L", "RGB", "P", "1"),
    "GIF": ("L", "P"),
    "TIFF": ("L", "RGB", "P", "1", "LA", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}


@pytest.mark.parametrize("form", MODES)
def test_random_damage_is_decoded_or_refused(form, capfd):
    save = encoded if form in ("BMP", "GIF") else lambda image, form: rotated(form, image)
    images = [save(COLOUR.convert(mode), form) for mode in MODES[form]]
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(1500):
        data = bytearray(images[turn % len(images)])
        end = (len(data), min(len(data), 120))[turn // len(images) % 2]  # anywhere, or in front
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(end))
            if turn % 3:
                data[at] = rng.integers(256)
            else:
                del data[at : at + int(rng.integers(1, 4))]
        try:
            assert decode(bytes(data)).mode in ("L", "RGB")
        except ImageRefused:
            refused += 1
    assert 300 < refused <= 1500


@pytest.mark.parametrize(
    ("width", "height", "depth", "colour", "channels"),
    [(1, 2, 1, 0, 1), (9, 2, 1, 0, 1), (3, 5, 2, 3, 1), (5, 3, 4, 0, 1), (7, 7, 8, 6, 4)],
)
def test_a_png_without_its_last_pixels_is_refused(width, height, depth, colour, channels):
    row = bytes(-(-width * depth * channels // 8))
    for rows in ([row] * (height - 1), [row] * (height - 1) + [row[:-1]]):
        data = png_by_hand(width, height, depth, colour, rows)
        if colour == 3:
            data = data[:33] + png_chunk(b"PLTE", bytes(12)) + data[33:]
        assert reason(data) == CANNOT + "too few pixels"


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("size", [8, 30])
def test_the_cached_form_is_a_square_of_bytes(color, channels, image, size):
    pixels = square(image, size, color)
    assert (pixels.shape, pixels.dtype) == ((size, size, channels), np.uint8)


@pytest.mark.parametrize("size", [(30, 10), (10, 30)], ids=["wide", "high"])
def test_the_centre_square_is_kept(size):
    image = Image.new("L", size, 0)
    image.paste(GRAY.crop((0, 0, 10, 10)), ((size[0] - 10) // 2, (size[1] - 10) // 2))
    assert np.array_equal(square(image, 10, "grayscale")[:, :, 0], np.asarray(GRAY)[:10, :10])


def test_an_image_of_the_right_size_keeps_its_pixels():
    image = noise(6, 9, 9, "RGB")
    assert np.array_equal(square(image, 9, "rgb"), np.asarray(image))


def test_colour_becomes_gray_by_the_weights_of_itu_r_601():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (100, 100, 100)]
    grays = [square(Image.new("RGB", (2, 2), c), 2, "grayscale")[0, 0, 0] for c in colours]
    assert grays == [76, 150, 29, 255, 100]


@pytest.mark.parametrize(
    ("color", "digest"), [("grayscale", "5c609f7fb4c4"), ("rgb", "f73234f99e38")]
)
def test_the_pixels_of_the_cached_form_are_pinned(color, digest):
    rows, columns = np.mgrid[0:37, 0:53]
    pixels = np.stack([rows * 6, columns * 4, rows * columns % 256], axis=2).astype(np.uint8)
    squared = square(Image.fromarray(pixels), 16, color)
    assert hashlib.sha256(squared.tobytes()).hexdigest()[:12] == digest
