"""The image policy, row by row; every image is noise drawn here."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
from faces import encoded, noise, png, png_by_hand, png_chunk, write_folder
from PIL import Image

from ferpipe.data.images import MAX_SIDE, ImageRefused, decode, square
from ferpipe.sources.intake import repacking

GRAY = noise(1)
COLOUR = noise(2, mode="RGB")
# Few colours, so that a palette holds them all.
FEW = COLOUR.quantize(16).convert("RGB")


def same(image, expected):
    return image.mode == expected.mode and np.array_equal(np.asarray(image), np.asarray(expected))


def reason(data):
    with pytest.raises(ImageRefused) as refused:
        decode(data)
    return str(refused.value)


def palette(indices, colours):
    image = Image.fromarray(np.asarray(indices, np.uint8)).convert("P")
    image.putdata(np.asarray(indices, np.uint8).ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


# What is taken


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
def test_gray_and_colour_come_out_as_they_went_in(form, image):
    assert same(decode(encoded(image, form)), image)


def test_lossless_webp_comes_out_as_it_went_in():
    assert same(decode(encoded(COLOUR, "WEBP", lossless=True)), COLOUR)


def test_a_one_frame_gif_is_taken():
    assert same(decode(encoded(FEW.quantize(16), "GIF")), FEW)


@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
def test_a_jpeg_is_taken_in_its_own_mode(image):
    assert decode(encoded(image, "JPEG")).mode == image.mode


def test_a_colour_image_whose_pixels_are_gray_stays_colour():
    image = GRAY.convert("RGB")
    assert same(decode(encoded(image)), image)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_a_1_bit_image_becomes_gray_of_0_and_255(form):
    decoded = decode(encoded(GRAY.convert("1"), form))
    assert same(decoded, GRAY.convert("1").convert("L"))
    assert set(np.unique(np.asarray(decoded))) == {0, 255}


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_image_whose_colours_are_gray_becomes_gray(form):
    image = palette([[0, 1], [2, 1]], [(9, 9, 9), (200, 200, 200), (30, 30, 30)])
    assert same(decode(encoded(image, form)), image.convert("L"))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_image_with_a_colour_becomes_colour(form):
    image = palette([[0, 1], [2, 1]], [(9, 9, 9), (200, 200, 200), (30, 31, 30)])
    assert same(decode(encoded(image, form)), image.convert("RGB"))


def test_a_colour_of_the_palette_that_no_pixel_has_does_not_count():
    image = palette([[0, 1], [1, 0]], [(9, 9, 9), (200, 200, 200), (255, 0, 0)])
    assert decode(encoded(image, "PNG")).mode == "L"


@pytest.mark.parametrize(
    ("opaque", "expected"),
    [(GRAY.convert("LA"), GRAY), (COLOUR.convert("RGBA"), COLOUR)],
    ids=["LA", "RGBA"],
)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_an_alpha_channel_that_hides_nothing_is_dropped(opaque, expected, form):
    assert same(decode(encoded(opaque, form)), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("alpha", [0, 254])
def test_one_pixel_that_is_not_opaque_refuses_the_image(mode, alpha):
    image = noise(3, mode="RGB").convert(mode)
    image.putpixel((4, 5), (*image.getpixel((4, 5))[:-1], alpha))
    assert reason(encoded(image)) == "has transparent pixels"


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_palette_colour_counts_only_where_a_pixel_has_it(form):
    colours = [(9, 9, 9), (200, 0, 0), (0, 0, 90)]
    unused = palette([[0, 1], [1, 0]], colours)
    assert same(decode(encoded(unused, form, transparency=2)), unused.convert("RGB"))
    used = palette([[0, 1], [1, 2]], colours)
    assert reason(encoded(used, form, transparency=2)) == "has transparent pixels"


def test_a_transparent_colour_counts_only_where_a_pixel_has_it():
    image = COLOUR.copy()
    image.putpixel((0, 0), (1, 2, 3))
    unused = encoded(image, transparency=(1, 2, 4))
    assert same(decode(unused), image)
    assert reason(encoded(image, transparency=(1, 2, 3))) == "has transparent pixels"


def test_a_transparent_gray_counts_only_where_a_pixel_has_it():
    image = Image.new("L", (4, 4), 7)
    assert same(decode(encoded(image, transparency=8)), image)
    assert reason(encoded(image, transparency=7)) == "has transparent pixels"


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
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = {"L": GRAY, "RGB": FEW, "P": FEW.quantize(16)}[mode]
    expected = UPRIGHT[orientation](np.asarray(FEW if mode == "P" else image))
    assert np.array_equal(np.asarray(decode(encoded(image, form, exif=exif))), expected)


def test_an_upright_image_is_not_turned_again():
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode(encoded(COLOUR, exif=exif))
    assert same(decode(encoded(upright)), upright)


# What is refused


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_gray_is_refused(form):
    image = Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000)
    assert reason(encoded(image, form)) == "more than 8 bits a channel"


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_a_png_of_16_bits_a_channel_is_refused(colour_type, channels):
    row = np.full(3 * channels, 65535, ">u2").tobytes()
    data = png_by_hand(3, 2, 16, colour_type, [row, row])
    assert reason(data) == "more than 8 bits a channel"


def test_a_png_of_8_bits_a_channel_written_by_hand_is_taken():
    row = bytes(range(9))
    assert np.asarray(decode(png_by_hand(3, 2, 8, 2, [row, row]))).tobytes() == row + row


def tiff_16_bit_rgb():
    """Two pixels; Pillow reads such a TIFF as 8-bit RGB and does not write one."""
    entries = [
        (256, 3, 1, 2),  # width
        (257, 3, 1, 1),  # height
        (258, 3, 3, 122),  # bits a sample, at 122
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 2),  # RGB
        (273, 4, 1, 128),  # pixels, at 128
        (277, 3, 1, 3),  # samples a pixel
        (278, 3, 1, 1),
        (279, 4, 1, 12),
    ]
    header = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        header += struct.pack("<HHII", tag, kind, count, value)
    header += struct.pack("<I", 0)
    return header + struct.pack("<3H", 16, 16, 16) + bytes(range(12))


def test_a_colour_tiff_of_16_bits_a_channel_is_refused():
    assert reason(tiff_16_bit_rgb()) == "more than 8 bits a channel"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_floats_and_32_bit_integers_are_refused(mode):
    image = GRAY.convert(mode)
    assert reason(encoded(image, "TIFF")) == "more than 8 bits a channel"


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_refused(form):
    assert reason(encoded(COLOUR.convert("CMYK"), form)) == "colour mode CMYK"


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(form):
    others = [noise(seed, mode="RGB") for seed in (8, 9)]
    data = encoded(COLOUR, form, save_all=True, append_images=others)
    assert reason(data) == "3 frames"


def test_an_empty_file_is_refused():
    assert reason(b"") == "empty file"


@pytest.mark.parametrize(
    "data",
    [b"not an image", b"<svg/>", b"%PDF-1.4", encoded(COLOUR, "PPM"), encoded(COLOUR, "ICO")],
    ids=["text", "svg", "pdf", "ppm", "ico"],
)
def test_what_is_none_of_the_formats_is_refused(data):
    assert reason(data) == "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP)"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_image_is_refused(form, kept):
    data = encoded(noise(4, 40, 40, "RGB"), form)
    assert decode(data).size == (40, 40)
    assert reason(data[: int(len(data) * kept)]).startswith(("cannot be decoded: ", "not an image"))


def test_a_png_with_a_flipped_byte_is_refused():
    data = bytearray(png(5, width=40, height=40))
    data[len(data) // 2] ^= 1
    assert reason(bytes(data)).startswith("cannot be decoded: ")


def test_damaged_exif_is_refused_without_a_traceback():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(COLOUR, "WEBP", exif=exif)
    assert data.count(b"MM\0*") == 1
    assert reason(data.replace(b"MM\0*", b"????")).startswith("cannot be decoded: ")


def test_a_tiff_whose_second_frame_is_empty_is_refused():
    data = encoded(GRAY, "TIFF")
    (entries,) = struct.unpack_from("<H", data, 8)
    last = 8 + 2 + 12 * entries
    assert data[last : last + 4] == bytes(4)  # no second frame so far
    damaged = data[:last] + struct.pack("<I", len(data)) + data[last + 4 :] + bytes(6)
    assert reason(damaged) == "cannot be decoded: Missing dimensions"


def test_whatever_a_decoder_raises_is_a_refusal_with_its_reason():
    gif = encoded(COLOUR.convert("P"), "GIF")
    assert reason(gif[:-1] + b"!") == "cannot be decoded: IndexError index out of range"
    frame = COLOUR.convert("P")
    tiff = encoded(frame, "TIFF", save_all=True, append_images=[frame])
    colours = b"\x40\x01\x03\x00"  # the tag of a palette; the second frame loses its own
    head, tail = tiff.rsplit(colours, 1)
    spoilt = head + b"\x41\x01\x03\x00" + tail
    assert reason(spoilt) == "cannot be decoded: KeyError 320"


MODES = {
    "PNG": ("L", "RGB", "P", "1", "LA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "BMP": ("L", "RGB", "P", "1"),
    "GIF": ("L", "P"),
    "TIFF": ("L", "RGB", "P", "1", "LA", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}


@pytest.mark.parametrize("form", MODES)
def test_random_damage_never_ends_in_anything_but_a_refusal(form, capfd):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if form in ("BMP", "GIF") else {"exif": exif}
    sound = [encoded(COLOUR.convert(mode), form, **options) for mode in MODES[form]]
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(1500):
        data = bytearray(sound[turn % len(sound)])
        where = (len(data), min(len(data), 120))[turn // len(sound) % 2]  # anywhere, or in front
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(where))
            if turn % 3:
                data[at] = rng.integers(256)
            else:
                del data[at : at + int(rng.integers(1, 4))]
        try:
            assert decode(bytes(data)).mode in ("L", "RGB")
        except ImageRefused:
            refused += 1
    assert 300 < refused <= 1500


def test_the_largest_side_is_taken_and_one_pixel_more_is_refused():
    assert decode(encoded(Image.new("1", (MAX_SIDE, 1)))).size == (MAX_SIDE, 1)
    assert reason(encoded(Image.new("1", (1, MAX_SIDE + 1)))) == "1x8193 px, more than 8192 a side"


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_huge_declared_size_is_refused_before_anything_is_decoded(side):
    message = reason(png_by_hand(side, side, 8, 0, [bytes(10)]))
    assert message.startswith(("12000x12000 px, more than 8192", "cannot be decoded: Image size"))


# Hostile images: all that may come under the name of one, and what the policy makes of it


def with_chunk(chunk, at=33):
    """A PNG with a chunk more: 33 is behind its header, -12 in front of its end."""
    return PNG[:at] + chunk + PNG[at:]


def without_crc(name):
    """A PNG in which the checksum of a chunk is wrong."""
    at = PNG.index(name)
    end = at + 4 + struct.unpack(">I", PNG[at - 4 : at])[0]
    return PNG[:end] + bytes(4) + PNG[end + 4 :]


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(noise(1, 30, 40), "JPEG", exif=exif)


PNG = png(1, width=40, height=30)
JPEG = encoded(noise(1, 40, 30, "RGB"), "JPEG")
TEXT = png_chunk(b"tEXt", b"a\0b")
SEVEN = [bytes([7] * 10)] * 10
CANNOT = "cannot be decoded: "
NO_IMAGE = "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP)"
# Name -> bytes, and mode and size of what it becomes.
TAKEN = {
    "a JPEG, whatever its name": (JPEG, "RGB", (40, 30)),
    "bytes after the end of a PNG": (PNG + b"hello", "L", (40, 30)),
    "a zip after the end of a PNG": (PNG + b"PK\3\4", "L", (40, 30)),
    "bytes after the end of a JPEG": (JPEG + b"hello", "RGB", (40, 30)),
    "text in a PNG": (with_chunk(TEXT), "L", (40, 30)),
    "1 bit": (encoded(GRAY.convert("1")), "L", GRAY.size),
    "a palette of grays": (encoded(palette([[0, 1]], [(9, 9, 9), (7, 7, 7)])), "L", (2, 1)),
    "a palette of colours": (encoded(palette([[0, 1]], [(9, 9, 9), (7, 8, 7)])), "RGB", (2, 1)),
    "alpha that hides nothing": (encoded(COLOUR.convert("RGBA")), "RGB", COLOUR.size),
    "an EXIF orientation": (turned(), "L", (40, 30)),
    "1x1": (png(1, width=1, height=1), "L", (1, 1)),
    "8192x1": (encoded(Image.new("L", (8192, 1))), "L", (8192, 1)),
    "1x8192": (encoded(Image.new("L", (1, 8192))), "L", (1, 8192)),
    "all one value": (encoded(Image.new("L", (48, 48), 7)), "L", (48, 48)),
    "all black": (encoded(Image.new("RGB", (48, 48))), "RGB", (48, 48)),
    "an interlaced PNG": (png_by_hand(2, 2, 8, 0, [b"a", b"b", b"cd"], interlaced=1), "L", (2, 2)),
    "more rows than the header says": (png_by_hand(10, 9, 8, 0, SEVEN), "L", (10, 9)),
}
# Name -> bytes, and the beginning of the reason.
REFUSED = {
    "zero bytes": (b"", "empty file"),
    "text": (b"hello", NO_IMAGE),
    "a web page": (b"<!DOCTYPE html><html></html>", NO_IMAGE),
    "a program": (b"\x7fELF" + bytes(100), NO_IMAGE),
    "a zip": (b"PK\3\4" + bytes(100), NO_IMAGE),
    "a signature alone": (PNG[:8], NO_IMAGE),
    "a PNG cut in its header": (PNG[:20], CANNOT),
    "a PNG cut in the middle": (PNG[: len(PNG) // 2], CANNOT),
    "a JPEG cut in the middle": (JPEG[: len(JPEG) // 2], CANNOT),
    "a JPEG without its end": (JPEG[:-2], CANNOT),
    "a PNG without its end": (PNG[:-12], CANNOT + "no end"),
    "a PNG with half an end": (PNG[:-5], CANNOT + "no end"),
    "a wrong checksum of the header": (without_crc(b"IHDR"), NO_IMAGE),
    "a wrong checksum of the pixels": (without_crc(b"IDAT"), CANNOT + "a wrong checksum"),
    "a wrong checksum of the end": (without_crc(b"IEND"), CANNOT + "a wrong checksum"),
    "a wrong checksum of a text behind the pixels": (
        with_chunk(TEXT[:-1] + b"?", -12),
        CANNOT + "a wrong checksum",
    ),
    "fewer rows than the header says": (
        png_by_hand(10, 11, 8, 0, SEVEN),
        CANNOT + "too few pixels",
    ),
    "fewer rows, interlaced": (
        png_by_hand(2, 3, 8, 0, [b"a", b"b", b"cd"], interlaced=1),
        CANNOT + "too few pixels",
    ),
    "a header behind another chunk": (
        png_by_hand(1, 1, 16, 2, [bytes(6)], before=TEXT),
        CANNOT + "its header is not at",
    ),
    "a width of 0": (png_by_hand(0, 1, 8, 0, [b""]), NO_IMAGE),
    "20,000x20,000": (png_by_hand(20_000, 20_000, 8, 0, [b""]), CANNOT + "Image size"),
    "9,000x9,000": (png_by_hand(9_000, 9_000, 8, 0, [b""]), "9000x9000 px, more than 8192 a side"),
    "8193x1": (encoded(Image.new("L", (8193, 1))), "8193x1 px, more than 8192 a side"),
    "a text that swells": (
        with_chunk(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))),
        CANNOT,
    ),
    "several frames": (
        encoded(COLOUR, "GIF", save_all=True, append_images=[noise(8, mode="RGB")]),
        "2 frames",
    ),
    "an animated PNG": (
        encoded(COLOUR, "PNG", save_all=True, append_images=[noise(8, mode="RGB")]),
        "2 frames",
    ),
    "transparent pixels": (encoded(Image.new("RGBA", (4, 4))), "has transparent pixels"),
    "16 bits of gray": (png_by_hand(1, 1, 16, 0, [bytes(2)]), "more than 8 bits a channel"),
    "16 bits of colour": (png_by_hand(1, 1, 16, 2, [bytes(6)]), "more than 8 bits a channel"),
    "CMYK": (encoded(COLOUR.convert("CMYK"), "JPEG"), "colour mode CMYK"),
    "floats": (encoded(GRAY.convert("F"), "TIFF"), "more than 8 bits a channel"),
}


@pytest.mark.parametrize(("data", "mode", "size"), TAKEN.values(), ids=TAKEN)
def test_odd_images_are_taken_and_have_a_cached_form(data, mode, size):
    image = decode(data)
    assert (image.mode, image.size) == (mode, size)
    assert square(image, 48, "grayscale").shape == (48, 48, 1)


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_hostile_images_are_refused_with_the_reason(data, why):
    assert reason(data).startswith(why)


def test_all_of_them_at_once_are_left_out_and_counted(tmp_path):
    tree = {f"class/{name}.png": data for name, (data, *_) in (TAKEN | REFUSED).items()}
    tree = {path.replace(",", ""): data for path, data in tree.items()} | {"other/1.png": PNG}
    write_folder(tmp_path / "source", tree)
    contents = repacking.repack(tmp_path / "source", tmp_path / "images.zip", None, 0.99)
    assert len(contents.skipped) == len(REFUSED)
    assert contents.class_counts == {"class": len(TAKEN), "other": 1}


def test_an_image_in_which_the_last_pixels_are_missing_is_refused_at_any_size_and_depth():
    for width, height, depth, colour, channels in (
        (1, 2, 1, 0, 1),
        (9, 2, 1, 0, 1),
        (3, 5, 2, 3, 1),
        (5, 3, 4, 0, 1),
        (7, 7, 8, 6, 4),
    ):
        row = bytes(-(-width * depth * channels // 8))
        for rows in ([row] * (height - 1), [row] * (height - 1) + [row[:-1]]):
            data = png_by_hand(width, height, depth, colour, rows)
            if colour == 3:
                data = data[:33] + png_chunk(b"PLTE", bytes(12)) + data[33:]
            assert reason(data) == CANNOT + "too few pixels"


# What it becomes in the cache


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("size", [8, 10, 30])
def test_the_cached_form_is_a_square_of_bytes(color, channels, image, size):
    pixels = square(image, size, color)
    assert pixels.shape == (size, size, channels)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("size", [(30, 10), (10, 30)], ids=["wide", "high"])
def test_the_centre_square_is_kept(size):
    image = Image.new("L", size, 0)
    left, top = (size[0] - 10) // 2, (size[1] - 10) // 2
    image.paste(GRAY.crop((0, 0, 10, 10)), (left, top))
    expected = np.asarray(GRAY)[:10, :10, np.newaxis]
    assert np.array_equal(square(image, 10, "grayscale"), expected)


def test_an_image_of_the_right_size_keeps_its_pixels():
    image = noise(6, 9, 9, "RGB")
    assert np.array_equal(square(image, 9, "rgb"), np.asarray(image))


def test_one_colour_stays_that_colour_at_any_size():
    assert np.all(square(Image.new("RGB", (31, 17), (3, 200, 90)), 8, "rgb") == (3, 200, 90))


def test_colour_becomes_gray_by_the_weights_of_itu_r_601():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (100, 100, 100)]
    grays = [square(Image.new("RGB", (2, 2), c), 2, "grayscale")[0, 0, 0] for c in colours]
    assert grays == [76, 150, 29, 255, 100]


def test_gray_becomes_colour_by_repetition():
    image = noise(7, 5, 5)
    expected = np.repeat(np.asarray(image)[:, :, np.newaxis], 3, axis=2)
    assert np.array_equal(square(image, 5, "rgb"), expected)


@pytest.mark.parametrize(
    ("color", "digest"),
    [
        ("grayscale", "5c609f7fb4c4"),
        ("rgb", "f73234f99e38"),
    ],
)
def test_the_pixels_of_the_cached_form_are_pinned(color, digest):
    rows, columns = np.mgrid[0:37, 0:53]
    pixels = np.stack([rows * 6, columns * 4, rows * columns % 256], axis=2).astype(np.uint8)
    found = square(Image.fromarray(pixels), 16, color)
    assert hashlib.sha256(found.tobytes()).hexdigest()[:12] == digest
