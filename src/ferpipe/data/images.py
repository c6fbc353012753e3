"""The image policy: which images are accepted, which are converted and how, which are refused.

Accepted is what Pillow decodes without loss to 8-bit gray or RGB, whatever the file's name; the
table is in data/local/README.md. Conversions with loss are off unless asked for. Only PNG has
checksums: other damage that still decodes is accepted, unless the zip's checksum or the pinned
digest reveals it.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ferpipe.data import formats, png

MAX_SIDE = 8192
# Errors of Pillow whose message is unclear without their type.
UNCLEAR = (LookupError, AssertionError, AttributeError, NameError, ZeroDivisionError)
# Pillow's warnings, such as of many pixels: our checks are stricter. Filters belong to the process,
# so that threads that decode cannot set them.
warnings.filterwarnings("ignore", module=r"PIL\.")
NOT_AN_IMAGE = "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP, PNM)"
DEEP = "more than 8 bits a channel"
TIFF_BITS, TIFF_COLOR, TIFF_NUMBERS = 258, 262, 339  # tags: bits, white or black is 0, signed


class ImageRefused(Exception):
    """The image policy refuses the image; the message is the reason in a few words."""


class Conversions(NamedTuple):
    """The conversions with loss that are on, as in the params `download.convert`."""

    background: str | None = None
    cmyk: bool = False
    deep: bool = False
    frames: bool = False


NO_CONVERSIONS = Conversions()


def decode(data: bytes) -> Image.Image:
    """Decode an image file to an upright image of mode "L" or "RGB"; may raise ImageRefused."""
    return convert(data, NO_CONVERSIONS)[0]


def convert(data: bytes, allowed: Conversions) -> tuple[Image.Image, list[str]]:
    """Decode an image file, and name the conversions with loss that it needed; see `decode`."""
    if not data:
        raise ImageRefused("empty file")
    used: list[str] = []
    try:
        image = Image.open(io.BytesIO(data), formats=formats.READ)
        _check_header(image, data, allowed, used)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_gray_or_rgb(image, allowed, used), used
    except (ImageRefused, MemoryError):
        raise
    except UnidentifiedImageError:
        found = formats.detect(data[: formats.HEAD])
        known = found and found not in formats.READ
        other = f"{found} is not read; convert it to PNG or JPEG"
        raise ImageRefused(other if known else NOT_AN_IMAGE) from None
    except Exception as error:
        # Pillow raises any type on a damaged file, such as IndexError (GIF) or KeyError (TIFF).
        what = " ".join(str(error).split())
        kind = f"{type(error).__name__} " if isinstance(error, UNCLEAR) or not what else ""
        raise ImageRefused(f"cannot be decoded: {kind}{what}".rstrip()) from None


def _check_header(image: Image.Image, data: bytes, allowed: Conversions, used: list[str]) -> None:
    """Refuse by size, depth and number of frames before any pixel is decoded."""
    if max(image.size) > MAX_SIDE:
        raise ImageRefused(f"{image.width}x{image.height} px, more than {MAX_SIDE} a side")
    frames = getattr(image, "n_frames", 1)
    # The further pictures of an MPO are previews, depths or a second lens: not a sequence.
    if frames > 1 and image.format != "MPO":
        if not allowed.frames:
            raise ImageRefused(f"{frames} frames; download.convert.frames takes the first")
        used.append("first of several frames")
    if _is_deep(image, data):
        if not allowed.deep:
            raise ImageRefused(f"{DEEP}; download.convert.deep keeps the upper 8")
        used.append("upper 8 of 16 bits")
    if image.format == "PNG":
        png.check(data)


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether channels have 16 bits; raises ImageRefused for depths that are never converted.

    Pillow silently opens 16-bit RGB as 8-bit RGB, so the header tells.
    """
    unsigned, bits = True, 8
    if image.format == "PNG":
        bits = png.bits(data)
    elif image.format == "TIFF":
        bits = max(image.tag_v2.get(TIFF_BITS, (1,)))
        unsigned = set(image.tag_v2.get(TIFF_NUMBERS, (1,))) == {1} and not (
            image.mode.startswith("I") and image.tag_v2.get(TIFF_COLOR) == 0
        )
    elif image.format == "PPM" and image.mode in ("L", "I", "RGB", "F"):
        *_, maximum = (255,) if image.tile[0].args in ("L", "RGB") else image.tile[0].args
        # Pillow scales gray to 16 bits, and colours to 8.
        bits = 16 if image.mode == "I" else 8 if 0 < maximum < 256 else 32
    if bits <= 8:
        return False
    if bits != 16 or not unsigned or "transparency" in image.info:
        raise ImageRefused(f"{DEEP}, and not plain 16-bit gray or RGB")
    return True


def _to_gray_or_rgb(image: Image.Image, allowed: Conversions, used: list[str]) -> Image.Image:
    """Convert to mode "L" or "RGB", without loss where that is possible."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "P" or image.has_transparency_data:
        image = _without_alpha(image.convert("RGBA"), allowed, used)
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "CMYK":
        if not allowed.cmyk:
            raise ImageRefused("colour mode CMYK; download.convert.cmyk converts it to RGB")
        used.append("CMYK to RGB")
        image = image.convert("RGB")
    if image.mode not in ("L", "RGB"):
        raise ImageRefused(f"colour mode {image.mode}")
    return image


def _without_alpha(image: Image.Image, allowed: Conversions, used: list[str]) -> Image.Image:
    """Place an RGBA image on the background if it has transparent pixels; gray if all are gray."""
    if image.getchannel("A").getextrema() != (255, 255):
        if allowed.background is None:
            remedy = "download.convert.background places them on a colour"
            raise ImageRefused(f"has transparent pixels; {remedy}")
        used.append(f"transparent pixels on {allowed.background}")
        background = Image.new("RGBA", image.size, allowed.background)
        image = Image.alpha_composite(background, image)
    red, green, blue, _ = image.split()
    is_gray = red.tobytes() == green.tobytes() == blue.tobytes()
    return red if is_gray else image.convert("RGB")


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of size and of all red, green and blue values of an image from `decode`.

    It is equal for the same picture in another file format, and for gray as RGB.
    """
    is_gray = image.mode == "L"
    channels = [image.tobytes()] * 3 if is_gray else [c.tobytes() for c in image.split()]
    return hashlib.sha256(b"".join([repr(image.size).encode(), *channels])).hexdigest()


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
    mode = "L" if color == "grayscale" else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, -1)
