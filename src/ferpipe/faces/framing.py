"""Placing a face as the training images show it.

A framing is where eyes, nose and mouth corners lie in a training image: float64 (5, 2), x and y in
units of its side, in the order of `detection.Face.landmarks`.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ferpipe.faces import detection

# How `measure` searches training images, which faces fill: enlarged, with a border (a fraction).
MOST_IMAGES, SEARCHED, BORDER, CONFIDENCE = 64, 288, 0.25, 0.9
# A large face is reduced by whole numbers to at least so many pixels for one of the crop.
OVERSAMPLED = 3
# A crop's side is at most so many times the picture's: landmarks may fit a framing badly.
WIDEST = 4
MARGIN = 3  # pixels around the crop that bicubic interpolation reads
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def crop(
    picture: Image.Image, landmarks: np.ndarray, framing: np.ndarray, size: int, color: str
) -> np.ndarray:
    """Cut out a face so that its landmarks lie as in the framing, as closely as they can.

    The picture is turned, scaled and shifted, which least squares determine; outside of it, its
    edge is repeated.

    Args:
        picture: mode "L" or "RGB".
        landmarks: (n, 2), x and y in pixels, at least two different points.
        framing: (n, 2), in units of the side of the crop.
        size: side of the crop, in pixels.
        color: "grayscale" or "rgb".

    Returns:
        uint8 (size, size, 1 or 3).
    """
    turn, shift = _similarity(landmarks, framing, 1 / (WIDEST * max(picture.size)))
    factor = max(1, int(1 / abs(turn) / size / OVERSAMPLED))
    corners = (_complex(CORNERS) - shift) / turn / factor
    color_mode = "L" if color == "grayscale" else "RGB"
    around, start = _around(picture.reduce(factor), corners, color_mode)
    # Not coarser than the picture, so that only the last step averages, as for training images.
    fine = size * max(1, math.ceil(abs(corners[1] - corners[0]) / size - 0.05))
    origin, step = corners[0] - start, (corners[1] - corners[0]) / fine
    affine = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    bicubic = Image.Resampling.BICUBIC
    face = around.transform((fine, fine), Image.Transform.AFFINE, affine, bicubic)
    return np.asarray(face.resize((size, size), bicubic)).reshape(size, size, -1)


def box_crop(
    picture: Image.Image, box: tuple[float, float, float, float], size: int, color: str
) -> np.ndarray:
    """Cut out the square around a box, for models whose framing is unknown; see `crop`."""
    left, top, right, bottom = box
    middle = np.array([left + right, top + bottom]) / 2
    square = middle + (CORNERS - 0.5) * max(right - left, bottom - top)
    return crop(picture, square, CORNERS, size, color)


def measure(images: np.ndarray) -> np.ndarray | None:
    """The framing of training images: the median of the landmarks found in some of them.

    Args:
        images: uint8 (n, side, side, 1 or 3).

    Returns:
        The framing to 4 decimals, so that rounding of sums does not show; None if fewer than half
        of the images have a face that is found.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images)), dtype=int))
    found = [landmarks for image in images[rows] if (landmarks := _landmarks(image)) is not None]
    if not found or 2 * len(found) < len(rows):
        return None
    return np.median(found, axis=0).round(4)


def _landmarks(image: np.ndarray) -> np.ndarray | None:
    """The landmarks of the surest face in a training image, in units of its side."""
    side, _, channels = image.shape
    picture = Image.fromarray(image.squeeze(-1) if channels == 1 else image)
    low, high = -BORDER * side, (1 + BORDER) * side
    bordered = box_crop(picture, (low, low, high, high), SEARCHED, "rgb")
    faces = detection.detect(Image.fromarray(bordered), SEARCHED // 6, CONFIDENCE)
    if not faces:
        return None
    surest = max(faces, key=lambda face: face.confidence)
    return surest.landmarks / SEARCHED * (1 + 2 * BORDER) - BORDER


def _similarity(source: np.ndarray, target: np.ndarray, least: float) -> tuple[complex, complex]:
    """The similarity transform `turn * z + shift` that brings points closest to others.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991, which in the plane is a regression of complex numbers. `abs(turn)`, the scale, is at
    least `least`.
    """
    source, target = _complex(source), _complex(target)
    middles = source.mean(), target.mean()
    centred = source - middles[0]
    turn = np.vdot(centred, target - middles[1]) / np.vdot(centred, centred).real
    if abs(turn) < least:
        turn = least * np.exp(1j * np.angle(turn))
    return turn, middles[1] - turn * middles[0]


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _around(picture: Image.Image, corners: np.ndarray, mode: str) -> tuple[Image.Image, complex]:
    """The upright rectangle around the corners, and where in the picture it starts."""
    x, y = (
        np.arange(math.floor(axis.min()) - MARGIN, math.ceil(axis.max()) + MARGIN)
        for axis in (corners.real, corners.imag)
    )
    start = complex(x[0], y[0])
    x, y = x.clip(0, picture.width - 1), y.clip(0, picture.height - 1)  # repeats the edge
    inside = picture.crop((x[0], y[0], x[-1] + 1, y[-1] + 1)).convert(mode)
    return Image.fromarray(np.asarray(inside)[(y - y[0])[:, None], x - x[0]]), start
