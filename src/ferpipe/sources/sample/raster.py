"""Soft-edged shapes in integers only: smooth curves, and the pixels that they cover.

Every pixel is computed from integers, so any processor and any NumPy draws the same bytes; a float
`sin` or `exp` may differ in its last bit. `sketch` has the units of lengths and tones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIDE = 48
SIDES = (-1, 1)  # the viewer's left and right
TONE = 64  # tones are kept in 64ths, so that many thin layers do not add up rounding
_SUBROWS = 8  # samples of a polygon's edge per pixel row
FULL = 256 * _SUBROWS  # coverage of a pixel that is inside
# Catmull-Rom: weights of the four points around a piece at its quarters, in 128ths.
_SPLINE = np.array([[0, 128, 0, 0], [-9, 111, 29, -3], [-8, 72, 72, -8], [-3, 29, 111, -9]])

_OCTAGON = ((128, 0), (90, 90), (0, 128), (-90, 90), (-128, 0), (-90, -90), (0, -128), (90, -90))

Number = int | np.ndarray
Point = tuple[Number, Number]


@dataclass(frozen=True)
class Mask:
    """Coverage of the pixels around a shape: int32 (frames, rows, columns), 0..FULL.

    Its first pixel is at (`top`, `left`) of the picture.
    """

    top: int
    left: int
    cover: np.ndarray

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Its place in the picture."""
        _, height, width = self.cover.shape
        return np.s_[:, self.top : self.top + height, self.left : self.left + width]

    def within(self, other: Mask) -> Mask:
        """The part that is inside `other` too."""
        canvas = np.zeros((len(self.cover), SIDE, SIDE), np.int32)
        canvas[other.box] = other.cover
        return Mask(self.top, self.left, np.minimum(self.cover, canvas[self.box]))


def per_pixel(value: Number) -> Number:
    """A value of each frame, or of all, in a shape that fits pixels."""
    return value.astype(np.int32)[:, None, None] if np.ndim(value) else int(value)


def smooth(points: np.ndarray, closed: bool) -> np.ndarray:
    """Points (frames, n, k) on the Catmull-Rom curve through the given ones, four a piece."""
    count = points.shape[1] - (not closed)
    around = np.arange(count)[:, None] + np.arange(-1, 3)
    around = around % count if closed else around.clip(0, count)
    curve = (_SPLINE @ points[:, around] // 128).reshape(len(points), 4 * count, -1)
    return curve if closed else np.concatenate([curve, points[:, -1:]], axis=1)


def coverage(outline: np.ndarray) -> Mask:
    """The coverage of a polygon: int (frames, points, 2), 256ths of a pixel from the top left.

    Exact along rows, sampled eight times a pixel along columns: each edge adds what is to its
    right, and a cumulative sum along the row gives the coverage.
    """
    frames, points, _ = outline.shape
    step = 256 // _SUBROWS
    start = outline.reshape(-1, 2).T
    end = np.concatenate([outline[:, 1:], outline[:, :1]], axis=1).reshape(-1, 2).T
    # The samples that each edge crosses: from the one below its upper end to its lower end.
    level = np.stack([start[1], end[1]])
    level = ((level + step // 2 - 1) // step).clip(0, SIDE * _SUBROWS)
    count = abs(level[1] - level[0])
    edge = np.repeat(np.arange(len(count)), count)
    sample = np.arange(len(edge)) - np.repeat(count.cumsum() - count - level.min(axis=0), count)
    if len(sample) == 0:
        return Mask(0, 0, np.zeros((frames, 0, 0), np.int32))
    (x0, y0), (x1, y1) = start[:, edge], end[:, edge]
    x = x0 + (sample * step + step // 2 - y0) * (x1 - x0) // (y1 - y0)
    x = x.clip(0, SIDE * 256)
    row, column, part = sample // _SUBROWS, x >> 8, x & 255
    top, left = int(row.min()), int(column.min())
    height, width = int(row.max()) + 1 - top, int(column.max()) + 1 - left
    total = np.zeros((frames, height, width + 1), np.int32)
    cell = (edge // points * height + row - top) * (width + 1) + column - left
    sign = np.where(y1 > y0, 1, -1)
    np.add.at(total.reshape(-1), cell, (sign * (256 - part)).astype(np.int32))
    np.add.at(total.reshape(-1), cell + 1, (sign * part).astype(np.int32))
    winding = abs(total.cumsum(axis=2, dtype=np.int32)[:, :, : SIDE - left])
    return Mask(top, left, np.minimum(winding, FULL))


def octagon(x: Number, y: Number, across: int, down: int) -> list[Point]:
    """A closed octagon from its centre and its half axes."""
    return [(x + right * across // 128, y + below * down // 128) for right, below in _OCTAGON]


def mirrored(points: Sequence[Point]) -> list[Point]:
    """A closed outline from its right half, whose ends are in the middle."""
    return [*points, *((-x, y) for x, y in points[-2:0:-1])]


def on_side(side: int, points: Sequence[Point]) -> list[Point]:
    """Points whose x is counted outward from the middle, on one side of the face."""
    return [(side * x, y) for x, y in points]


def darker(tone: int, percent: int) -> int:
    """A tone moved towards black."""
    return tone * (100 - percent) // 100


def lighter(tone: int, percent: int) -> int:
    """A tone moved towards white."""
    return tone + (255 - tone) * percent // 100
