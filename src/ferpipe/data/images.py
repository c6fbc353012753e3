"""The image policy: which images are accepted, which are converted and how, which are refused.

Accepted is what Pillow decodes without loss to 8-bit gray or RGB, whatever the file's name; the
table is in data/local/README.md. Only PNG has checksums: other damage that still decodes is
accepted, unless the zip's checksum or the pinned digest reveals it.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
MAX_SIDE = 8192
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type
# The passes of an interlaced PNG: first column, first row, column step, row step.
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
# Errors of Pillow whose message is unclear without their type.
UNCLEAR = (LookupError, AssertionError, AttributeError, NameError, ZeroDivisionError)
PIECE = 2**20  # bytes that are unpacked at a time
DEEP = "more than 8 bits a channel"


class ImageRefused(Exception):
    """The image policy refuses the image; the message is the reason in a few words."""


def decode(data: bytes) -> Image.Image:
    """Decode an image file to an upright image of mode "L" or "RGB"; may raise ImageRefused."""
    if not data:
        raise ImageRefused("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning; ours is stricter
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_header(image)
            if image.format == "PNG":
                _check_png(data)
            image.load()
            return _to_gray_or_rgb(ImageOps.exif_transpose(image))
    except (ImageRefused, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ImageRefused(f"not an image ({', '.join(FORMATS)})") from None
    except Exception as error:
        # Pillow raises any type on a damaged file, such as IndexError (GIF) or KeyError (TIFF).
        what = " ".join(str(error).split())
        kind = f"{type(error).__name__} " if isinstance(error, UNCLEAR) or not what else ""
        raise ImageRefused(f"cannot be decoded: {kind}{what}".rstrip()) from None


def _check_header(image: Image.Image) -> None:
    """Refuse by size, depth and number of frames before any pixel is decoded."""
    if max(image.size) > MAX_SIDE:
        raise ImageRefused(f"{image.width}x{image.height} px, more than {MAX_SIDE} a side")
    if getattr(image, "n_frames", 1) > 1:
        raise ImageRefused(f"{image.n_frames} frames")
    # Pillow silently opens 16-bit RGB as 8-bit RGB: read the depth from the header.
    deep_tiff = image.format == "TIFF" and max(image.tag_v2.get(258, (1,))) > 8
    if deep_tiff or image.mode.startswith("I"):
        raise ImageRefused(DEEP)


def _check_png(data: bytes) -> None:
    """Refuse a PNG that is deep, or that Pillow would fill up with black.

    Chunks and their checksums: https://www.w3.org/TR/png-3/#5Chunk-layout
    """
    if data[8:16] != b"\0\0\0\rIHDR":
        raise ImageRefused("cannot be decoded: its header is not at its beginning")
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if depth == 16:
        raise ImageRefused(DEEP)
    unpacked = zlib.decompressobj()
    missing = _png_bytes(width, height, depth * PNG_CHANNELS[color], interlaced)
    offset, kind = 8, b""
    while kind != b"IEND":
        if len(data) < offset + 12:
            raise ImageRefused("cannot be decoded: no end")
        length, kind = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + 8 + length]
        checksum = data[offset + 8 + length : offset + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(kind + body)):
            raise ImageRefused("cannot be decoded: a wrong checksum, or cut short")
        while kind == b"IDAT" and body and missing > 0:
            missing -= len(unpacked.decompress(body, PIECE))
            body = unpacked.unconsumed_tail
        offset += 12 + length
    if missing > 0:
        raise ImageRefused("cannot be decoded: too few pixels")


def _png_bytes(width: int, height: int, bits: int, interlaced: int) -> int:
    """Uncompressed bytes of a PNG's rows; each row has one byte (its filter) before its pixels."""
    total = 0
    for left, top, column_step, row_step in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // column_step), -(-(height - top) // row_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _to_gray_or_rgb(image: Image.Image) -> Image.Image:
    """Convert without loss to mode "L" or "RGB"."""
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise ImageRefused("has transparent pixels")
        red, green, blue, _ = image.split()
        is_gray = red.tobytes() == green.tobytes() == blue.tobytes()
        image = red if is_gray else image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "RGB"):
        raise ImageRefused(f"colour mode {image.mode}")
    return image


def square(image: Image.Image, size: int, color: str) -> np.ndarray:
    """Crop the centre square of an image of mode "L" or "RGB" and resize it bicubically.

    Pillow does both on 8-bit integers, so the pixels are the same on any processor.

    Args:
        image: from `decode`.
        size: side of the result, in pixels.
        color: "grayscale" (RGB is weighted as in ITU-R 601) or "rgb" (gray is repeated).

    Returns:
        uint8 (size, size, 1 or 3).
    """
    image = image.convert("L" if color == "grayscale" else "RGB")
    image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, -1)
