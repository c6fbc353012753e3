"""Image files of every kind that the image policy names, good and bad; every image is noise."""

import io
import struct
import zlib

import numpy as np
from faces import encoded, noise, png, png_by_hand, png_chunk
from PIL import Image

GRAY = noise(1)
COLOUR = noise(2, mode="RGB")
FRAME = noise(8, mode="RGB")
# Few colours, so that a palette holds them all.
FEW = COLOUR.quantize(16).convert("RGB")


def palette(indices, *colours):
    image = Image.fromarray(np.asarray(indices, np.uint8)).convert("P")
    image.putdata(np.asarray(indices, np.uint8).ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def with_pixel(image, value):
    """A copy with another pixel."""
    image = image.copy()
    image.putpixel((4, 5), value)
    return image


def with_chunk(chunk, at=33):
    """A PNG with an additional chunk: 33 is after its header, -12 before its end."""
    return PNG[:at] + chunk + PNG[at:]


def without_crc(name):
    """A PNG with a wrong checksum of a chunk."""
    at = PNG.index(name)
    end = at + 4 + struct.unpack(">I", PNG[at - 4 : at])[0]
    return PNG[:end] + bytes(4) + PNG[end + 4 :]


def tiff_16_bit_rgb():
    """Two pixels; Pillow reads such a TIFF as 8-bit RGB and does not write one."""
    entries = [
        *((256, 3, 1, 2), (257, 3, 1, 1)),  # width, height
        *((258, 3, 3, 122), (259, 3, 1, 1)),  # bits per sample, at 122; not compressed
        *((262, 3, 1, 2), (273, 4, 1, 128)),  # RGB; pixels, at 128
        *((277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12)),  # samples per pixel, rows, bytes
    ]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    header += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return header + struct.pack("<3H", 16, 16, 16) + bytes(range(12))


def tiff_with_an_empty_second_frame():
    data = encoded(GRAY, "TIFF")
    last = 8 + 2 + 12 * struct.unpack_from("<H", data, 8)[0]
    return data[:last] + struct.pack("<I", len(data)) + data[last + 4 :] + bytes(6)


def tiff_without_a_second_palette():
    frame = COLOUR.convert("P")
    data = encoded(frame, "TIFF", save_all=True, append_images=[frame])
    return b"\x41\x01\x03\x00".join(data.rsplit(b"\x40\x01\x03\x00", 1))


def tiff_16_bit(pixels, photometric=1, bits=16):
    """A gray TIFF, by what its header says of its pixels (uint16)."""
    data = bytearray(encoded(Image.fromarray(pixels), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in (258, 262):
            struct.pack_into("<H", data, entry + 8, bits if tag == 258 else photometric)
    return bytes(data)


def pnm_16_bit(kind, maximum, *values):
    width = len(values) // (3 if kind == b"P6" else 1)
    return b"%s %d 1 %d\n" % (kind, width, maximum) + struct.pack(f">{len(values)}H", *values)


def rotated(form, image=COLOUR, orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, form, exif=exif)


PNG = png(1, width=40, height=30)
PNG_IMAGE = noise(1, 40, 30)
JPEG = encoded(noise(1, 40, 30, "RGB"), "JPEG")
JPEG_IMAGE = Image.open(io.BytesIO(JPEG))
TEXT = png_chunk(b"tEXt", b"a\0b")
SEVEN = [bytes([7] * 10)] * 10
GRAYS = palette([[0, 1], [2, 1]], (9, 9, 9), (200, 200, 200), (30, 30, 30))
COLOURS = palette([[0, 1], [2, 1]], (9, 9, 9), (200, 200, 200), (30, 31, 30))
UNUSED = palette([[0, 1], [1, 0]], (9, 9, 9), (200, 0, 0), (0, 0, 90))
USED = palette([[0, 1], [1, 2]], (9, 9, 9), (200, 0, 0), (0, 0, 90))
ONE = with_pixel(COLOUR, (1, 2, 3))
SEVENS = Image.new("L", (4, 4), 7)
PNM = {"1": GRAY.convert("1").convert("L"), "L": GRAY, "RGB": COLOUR}
CANNOT = "cannot be decoded: "
NO_IMAGE = "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP, PNM)"
DEEP = "more than 8 bits a channel"
ALPHA = "has transparent pixels"
# Name -> bytes, and what they are decoded to.
ACCEPTED = {
    **{f"gray {form}": (encoded(GRAY, form), GRAY) for form in ("PNG", "BMP", "TIFF")},
    **{f"colour {form}": (encoded(COLOUR, form), COLOUR) for form in ("PNG", "BMP", "TIFF")},
    "colour WEBP": (encoded(COLOUR, "WEBP", lossless=True), COLOUR),
    **{f"{mode} PPM": (encoded(image, "PPM"), image) for mode, image in PNM.items()},
    "plain PGM": (b"P2\n# by hand\n3 1 255\n1 2 250\n", Image.frombytes("L", (3, 1), b"\1\2\xfa")),
    "PGM of few grays": (b"P5 2 1 5\n\1\5", Image.frombytes("L", (2, 1), b"\x33\xff")),
    "MPO, by its first picture": (
        encoded(noise(1, 40, 30, "RGB"), "MPO", save_all=True, append_images=[noise(9)]),
        JPEG_IMAGE,
    ),
    "colour GIF of one frame": (encoded(FEW.quantize(16), "GIF"), FEW),
    "colour JPEG": (JPEG, JPEG_IMAGE),
    "gray JPEG": (encoded(SEVENS, "JPEG"), SEVENS),
    "colour of gray pixels": (encoded(GRAY.convert("RGB")), GRAY.convert("RGB")),
    **{
        f"1 bit {form}": (encoded(GRAY.convert("1"), form), GRAY.convert("1").convert("L"))
        for form in ("PNG", "BMP", "TIFF")
    },
    **{
        f"palette {form} of {kind}": (encoded(image, form), image.convert(mode))
        for form in ("PNG", "GIF", "BMP", "TIFF")
        for kind, image, mode in (("grays", GRAYS, "L"), ("colours", COLOURS, "RGB"))
    },
    "palette of grays with an unused colour": (
        encoded(image := palette([[0, 1]], (9, 9, 9), (7, 7, 7), (255, 0, 0))),
        image.convert("L"),
    ),
    **{f"opaque LA {form}": (encoded(GRAY.convert("LA"), form), GRAY) for form in ("PNG", "TIFF")},
    **{
        f"opaque RGBA {form}": (encoded(COLOUR.convert("RGBA"), form), COLOUR)
        for form in ("PNG", "TIFF")
    },
    **{
        f"transparent palette colour that no pixel has, {form}": (
            encoded(UNUSED, form, transparency=2),
            UNUSED.convert("RGB"),
        )
        for form in ("PNG", "GIF")
    },
    "transparent colour that no pixel has": (encoded(ONE, transparency=(1, 2, 4)), ONE),
    "transparent gray that no pixel has": (encoded(SEVENS, transparency=8), SEVENS),
    "bytes after the end of a PNG": (PNG + b"hello", PNG_IMAGE),
    "a zip after the end of a PNG": (PNG + b"PK\3\4", PNG_IMAGE),
    "bytes after the end of a JPEG": (JPEG + b"hello", JPEG_IMAGE),
    "text in a PNG": (with_chunk(TEXT), PNG_IMAGE),
    "1x1": (png(1, width=1, height=1), noise(1, 1, 1)),
    **{
        f"{size}": (encoded(Image.new("L", size)), Image.new("L", size))
        for size in ((8192, 1), (1, 8192), (48, 48))
    },
    "an interlaced PNG": (
        png_by_hand(2, 2, 8, 0, [b"a", b"b", b"cd"], interlaced=1),
        Image.frombytes("L", (2, 2), b"abcd"),
    ),
    "more rows than the header says": (png_by_hand(10, 9, 8, 0, SEVEN), Image.new("L", (10, 9), 7)),
}
# Name -> bytes, and the beginning of the reason.
REFUSED = {
    "zero bytes": (b"", "empty file"),
    **{
        name: (data, NO_IMAGE)
        for name, data in (
            ("text", b"hello"),
            ("a web page", b"<!DOCTYPE html><html></html>"),
            ("a program", b"\x7fELF" + bytes(100)),
            ("a zip", b"PK\3\4" + bytes(100)),
            ("svg", b"<svg/>"),
            ("pdf", b"%PDF-1.4"),
            ("ico", encoded(COLOUR, "ICO")),
            ("a signature alone", PNG[:8]),
            ("a wrong checksum of the header", without_crc(b"IHDR")),
            ("a width of 0", png_by_hand(0, 1, 8, 0, [b""])),
        )
    },
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read; convert it to PNG or JPEG"),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF is not read; convert it to"),
    "JPEG 2000": (encoded(COLOUR, "JPEG2000"), "JPEG 2000 is not read; convert it to"),
    "a cut PGM": (encoded(GRAY, "PPM")[:-1], CANNOT),
    "a cut plain PGM": (b"P2 3 1 255 1 2", CANNOT),
    "a value above the largest": (b"P2 2 1 3 1 4", CANNOT + "Channel value too large"),
    "16 bits of PGM": (pnm_16_bit(b"P5", 65535, 1, 2), DEEP + "; download.convert.deep"),
    "12 bits of PGM": (pnm_16_bit(b"P5", 4095, 1, 2), DEEP + "; download.convert.deep"),
    "16 bits of colour PPM": (pnm_16_bit(b"P6", 65535, 1, 2, 3), DEEP + ", and not plain"),
    "a PNG cut in its header": (PNG[:20], CANNOT),
    "a JPEG without its end": (JPEG[:-2], CANNOT),
    "a PNG without its end": (PNG[:-12], CANNOT + "no end"),
    "a PNG with half an end": (PNG[:-5], CANNOT + "no end"),
    "a wrong checksum of the pixels": (without_crc(b"IDAT"), CANNOT + "a wrong checksum"),
    "a wrong checksum of the end": (without_crc(b"IEND"), CANNOT + "a wrong checksum"),
    "a wrong checksum of a text": (with_chunk(TEXT[:-1] + b"?", -12), CANNOT + "a wrong checksum"),
    "fewer rows than in the header": (png_by_hand(10, 11, 8, 0, SEVEN), CANNOT + "too few pixels"),
    "fewer rows, interlaced": (
        png_by_hand(2, 3, 8, 0, [b"a", b"b", b"cd"], interlaced=1),
        CANNOT + "too few pixels",
    ),
    "a header after another chunk": (
        png_by_hand(1, 1, 16, 2, [bytes(6)], before=TEXT),
        CANNOT + "its header is not at",
    ),
    "20,000x20,000": (png_by_hand(20_000, 20_000, 8, 0, [b""]), CANNOT + "Image size"),
    "9,000x9,000": (png_by_hand(9_000, 9_000, 8, 0, [b""]), "9000x9000 px, more than 8192 a side"),
    "8193x1": (encoded(Image.new("L", (8193, 1))), "8193x1 px, more than 8192 a side"),
    "a text that unpacks to 10 MB": (
        with_chunk(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))),
        CANNOT,
    ),
    **{
        f"{form} of two frames": (
            encoded(COLOUR, form, save_all=True, append_images=[FRAME]),
            "2 frames",
        )
        for form in ("GIF", "PNG", "WEBP", "TIFF")
    },
    **{
        f"{mode} with a pixel of alpha {alpha}": (
            encoded(with_pixel(COLOUR.convert(mode), (*[9] * (len(mode) - 1), alpha))),
            ALPHA,
        )
        for mode in ("LA", "RGBA")
        for alpha in (0, 254)
    },
    **{
        f"transparent palette colour {form}": (encoded(USED, form, transparency=2), ALPHA)
        for form in ("PNG", "GIF")
    },
    "transparent colour": (encoded(ONE, transparency=(1, 2, 3)), ALPHA),
    "transparent gray": (encoded(SEVENS, transparency=7), ALPHA),
    **{
        f"16 bits, colour type {kind}": (png_by_hand(1, 1, 16, kind, [bytes(2 * channels)]), DEEP)
        for kind, channels in ((0, 1), (2, 3), (4, 2), (6, 4))
    },
    "16 bits of gray TIFF": (encoded(Image.fromarray(np.zeros((2, 2), np.uint16)), "TIFF"), DEEP),
    "16 bits of colour TIFF": (tiff_16_bit_rgb(), DEEP),
    "floats": (encoded(GRAY.convert("F"), "TIFF"), DEEP),
    "32-bit integers": (encoded(GRAY.convert("I"), "TIFF"), DEEP),
    **{
        f"CMYK {form}": (encoded(COLOUR.convert("CMYK"), form), "colour mode CMYK")
        for form in ("JPEG", "TIFF")
    },
    "damaged EXIF": (rotated("WEBP").replace(b"MM\0*", b"????"), CANNOT),
    "an empty second frame": (tiff_with_an_empty_second_frame(), CANNOT + "Missing dimensions"),
    "IndexError": (encoded(COLOUR.convert("P"), "GIF")[:-1] + b"!", CANNOT + "IndexError index "),
    "KeyError": (tiff_without_a_second_palette(), CANNOT + "KeyError 320"),
}
RAMP = np.arange(0, 60_000, 500, dtype=np.uint16).reshape(10, 12)
UPPER = Image.fromarray((RAMP >> 8).astype(np.uint8))
CLEAR = with_pixel(COLOUR.convert("RGBA"), (1, 2, 3, 0))
HALF_CLEAR = with_pixel(Image.new("RGBA", (12, 10), (0, 0, 0, 255)), (0, 0, 0, 128))
CMYK = COLOUR.convert("CMYK")
TIFF_CMYK = encoded(CMYK, "TIFF")
CMYK_JPEG = encoded(CMYK, "JPEG")
ON_COLOUR = "transparent pixels on #ff8000"
# Name -> bytes, what they are converted to, and how.
CONVERTED = {
    "transparent RGBA": (encoded(CLEAR), with_pixel(COLOUR, (255, 128, 0)), [ON_COLOUR]),
    "half transparent": (
        encoded(HALF_CLEAR),
        with_pixel(Image.new("RGB", (12, 10)), (127, 64, 0)),
        [ON_COLOUR],
    ),
    "transparent WEBP": (
        encoded(CLEAR, "WEBP", lossless=True, exact=True),
        with_pixel(COLOUR, (255, 128, 0)),
        [ON_COLOUR],
    ),
    "transparent LA": (
        encoded(with_pixel(GRAY.convert("LA"), (9, 0))),
        with_pixel(GRAY.convert("RGB"), (255, 128, 0)),
        [ON_COLOUR],
    ),
    **{
        f"transparent palette colour {form}": (
            encoded(USED, form, transparency=2),
            palette([[0, 1], [1, 2]], (9, 9, 9), (200, 0, 0), (255, 128, 0)).convert("RGB"),
            [ON_COLOUR],
        )
        for form in ("PNG", "GIF")
    },
    "transparent colour": (
        encoded(ONE, transparency=(1, 2, 3)),
        with_pixel(ONE, (255, 128, 0)),
        [ON_COLOUR],
    ),
    "CMYK TIFF": (TIFF_CMYK, CMYK.convert("RGB"), ["CMYK to RGB"]),
    "CMYK JPEG": (CMYK_JPEG, Image.open(io.BytesIO(CMYK_JPEG)).convert("RGB"), ["CMYK to RGB"]),
    **{
        f"16-bit {form}": (encoded(Image.fromarray(RAMP), form), UPPER, ["upper 8 of 16 bits"])
        for form in ("PNG", "TIFF")
    },
    "16-bit TIFF of the other byte order": (
        encoded(Image.fromarray(RAMP.astype(">u2")), "TIFF"),
        UPPER,
        ["upper 8 of 16 bits"],
    ),
    "16-bit colour PNG": (
        png_by_hand(2, 1, 16, 2, [struct.pack(">6H", *range(255, 1531, 255))]),
        Image.frombytes("RGB", (2, 1), bytes([0, 1, 2, 3, 4, 5])),
        ["upper 8 of 16 bits"],
    ),
    "16-bit colour TIFF": (
        tiff_16_bit_rgb(),
        Image.frombytes("RGB", (2, 1), bytes(range(1, 12, 2))),
        ["upper 8 of 16 bits"],
    ),
    "16-bit gray and alpha PNG": (
        png_by_hand(2, 1, 16, 4, [struct.pack(">4H", 0x1280, 0xFFFF, 0x3400, 0xFF00)]),
        Image.frombytes("L", (2, 1), b"\x12\x34"),
        ["upper 8 of 16 bits"],
    ),
    "16-bit PGM": (
        pnm_16_bit(b"P5", 65535, 0x12FF, 0xFFFF),
        Image.frombytes("L", (2, 1), b"\x12\xff"),
        ["upper 8 of 16 bits"],
    ),
    "12-bit PGM, which is scaled": (
        pnm_16_bit(b"P5", 4095, 0, 4095),
        Image.frombytes("L", (2, 1), b"\0\xff"),
        ["upper 8 of 16 bits"],
    ),
    **{
        f"{form} of several frames": (
            encoded(COLOUR, form, save_all=True, append_images=[FRAME], **options),
            COLOUR,
            ["first of several frames"],
        )
        for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))
    },
    "GIF of several frames": (
        encoded(GRAY, "GIF", save_all=True, append_images=[noise(9)]),
        GRAY,
        ["first of several frames"],
    ),
    "all at once": (
        encoded(CLEAR, "PNG", save_all=True, append_images=[FRAME.convert("RGBA")]),
        with_pixel(COLOUR, (255, 128, 0)),
        ["first of several frames", ON_COLOUR],
    ),
}
NEVER = {
    "floats of PFM": b"Pf 1 1 -1.0\n" + bytes(4),
    "floats": encoded(GRAY.convert("F"), "TIFF"),
    "32-bit integers": encoded(GRAY.convert("I"), "TIFF"),
    "16-bit colour PPM": pnm_16_bit(b"P6", 65535, 1, 2, 3),
    "12-bit TIFF": tiff_16_bit(RAMP, bits=12),
    "16-bit TIFF with white as 0": tiff_16_bit(RAMP, photometric=0),
    "16-bit PNG with a transparent colour": png_by_hand(
        1, 1, 16, 0, [bytes(2)], after=png_chunk(b"tRNS", bytes(2))
    ),
}
