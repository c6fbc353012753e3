"""Corruptions of test images: what a camera, its place and a file format do to a face.

After Hendrycks & Dietterich 2019, https://arxiv.org/abs/1903.12261. Each function maps images,
uint8 (n, side, side, 1 or 3), to the same shape. Strengths are relative to the face, so that they
mean the same for images of any size; only JPEG compresses blocks of 8x8 pixels, whatever the size.
What is drawn depends on the corruption and the index of the image, not on the strength.

All sums are of integers, or exact in floating point: the same bytes on any processor.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

# Coefficients that are multiples of this keep Pillow's bilinear sums exact in double precision.
STEP = 2**-16
# Noise is drawn on this many squares a side: per pixel it would be weaker in larger images.
GRAINS = 48


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption and its three strengths, the mildest first."""

    name: str
    unit: str
    strengths: tuple[int, int, int]
    function: Callable[[np.ndarray, int, np.random.Generator], np.ndarray]

    def apply(self, images: np.ndarray, strength: int) -> np.ndarray:
        """Corrupt images; the first of them are drawn alike, however many there are."""
        return self.function(
            images, strength, np.random.default_rng(zlib.crc32(self.name.encode()))
        )


def blur(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian; strength: standard deviation in % of the side."""
    # Three boxes, each with a third of the variance (Gwosdek et al. 2011, as in Pillow, but with
    # the radius in double precision).
    variance = (strength * images.shape[1] / 100) ** 2 / 3
    whole = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    part = (2 * whole + 1) * (3 * variance - whole * (whole + 1))
    part /= 6 * ((whole + 1) ** 2 - variance)
    box = ImageFilter.BoxBlur(_rounded(whole + part))
    return _each(images, lambda image: image.filter(box).filter(box).filter(box))


def noise(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Add nearly Gaussian noise to all channels; strength: standard deviation in gray levels."""
    drawn = rng.integers(0, 256, (len(images), 4, GRAINS, GRAINS), dtype=np.uint8)
    # Four bytes have a mean of 510 and a standard deviation of 147.8.
    grains = np.rint((drawn.sum(axis=1, dtype=np.int64) - 510) * strength / 148).astype(np.int16)
    place = np.arange(images.shape[1]) * GRAINS // images.shape[1]
    noisy = images + grains[:, place[:, None], place, None]
    return noisy.clip(0, 255).astype(np.uint8)


def darkness(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Darken; strength: % less light."""
    return ((images.astype(np.uint16) * (100 - strength) + 50) // 100).astype(np.uint8)


def rotation(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Turn to a drawn side; strength: degrees."""
    angles = [math.radians(strength * sign) for sign in _signs(rng, len(images))]
    turns = [(math.cos(angle), math.sin(angle)) for angle in angles]
    return _warped(images, [(cos, sin, 0.0, -sin, cos, 0.0) for cos, sin in turns])


def shift(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Shift along both axes, to drawn sides; strength: % of the side along each."""
    signs = _signs(rng, 2 * len(images))
    share = strength / 100
    pairs = zip(signs[::2], signs[1::2], strict=True)
    return _warped(images, [(1.0, 0.0, x * share, 0.0, 1.0, y * share) for x, y in pairs])


def scale(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Make a face, as drawn, larger or smaller; strength: % by which the larger one is larger."""
    steps = [(1 + strength / 100) ** sign for sign in _signs(rng, len(images))]
    return _warped(images, [(step, 0.0, 0.0, 0.0, step, 0.0) for step in steps])


def occlusion(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Cover a square at a drawn place with the mean colour; strength: its side in % of the side."""
    count, side, _, channels = images.shape
    width = side * strength // 100
    # A larger square at the same place contains the smaller one.
    corners = rng.integers(0, 1024, (count, 2)) * (side - width) // 1024
    means = images.reshape(count, -1, channels).sum(axis=1, dtype=np.int64) // side**2
    covered = images.copy()
    for picture, (top, left), mean in zip(covered, corners, means, strict=True):
        picture[top : top + width, left : left + width] = mean
    return covered


def jpeg(images: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Compress as a JPEG file; strength: its quality as Pillow has it, the mildest the highest."""

    def compressed(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=strength)
        return Image.open(file)

    return _each(images, compressed)


CORRUPTIONS = (
    Corruption("blur", "% of side", (1, 2, 4), blur),
    Corruption("noise", "gray levels", (10, 20, 40), noise),
    Corruption("darkness", "% less light", (40, 60, 80), darkness),
    Corruption("rotation", "degrees", (10, 20, 30), rotation),
    Corruption("shift", "% of side", (5, 10, 15), shift),
    Corruption("scale", "% larger or smaller", (10, 20, 30), scale),
    Corruption("occlusion", "% of side", (20, 35, 50), occlusion),
    Corruption("JPEG", "% quality", (50, 25, 10), jpeg),
)


def _each(images: np.ndarray, edit: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Edit each image with Pillow."""
    edited = [np.asarray(edit(_image(picture))) for picture in images]
    return np.stack(edited).reshape(images.shape)


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)


def _signs(rng: np.random.Generator, count: int) -> list[int]:
    """Draw 1 or -1, `count` times."""
    return (2 * rng.integers(0, 2, count) - 1).tolist()


def _rounded(value: float) -> float:
    return round(value / STEP) * STEP


def _warped(images: np.ndarray, transforms: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Sample each image bilinearly by its transform; mirrored outside, as in augmentation.

    A transform is (a, b, x, c, d, y): the pixel at (u, v) from the centre of the result is sampled
    at (a u + b v + x, c u + d v + y) from that of the image. x and y are in units of the side.
    """
    side = images.shape[1]
    margin = side // 2
    centre = margin + side / 2
    mirrored = ((margin, margin), (margin, margin), (0, 0))
    warped = []
    for picture, transform in zip(images, transforms, strict=True):
        a, b, x, c, d, y = map(_rounded, transform)
        left = centre - (a + b) * side / 2 + x * side
        top = centre - (c + d) * side / 2 + y * side
        warped.append(
            _image(np.pad(picture, mirrored, mode="symmetric")).transform(
                (side, side),
                Image.Transform.AFFINE,
                (a, b, left, c, d, top),
                Image.Resampling.BILINEAR,
            )
        )
    return np.stack(list(map(np.asarray, warped))).reshape(images.shape)
