"""The canvas of the drawn faces: soft-edged shapes in integers only.

Lengths are hundredths of a pixel in a 48x48 picture whose centre is (0, 0), x to the viewer's
right and y down. Tones are 0 (black) to 255. Intensities of action units are 0 to 100.

Every pixel is computed from integers, so any processor and any NumPy draws the same bytes; a float
`sin` or `exp` may differ in its last bit. All frames of a person are drawn together: the first axis
of every array is the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.sources.sample.person import Person, Shots

SIDE = 48
SIDES = (-1, 1)  # the viewer's left and right

_SUBROWS = 8  # samples of a polygon's edge per pixel row
_FULL = 256 * _SUBROWS  # coverage of a pixel that is inside
_DEEP = 64  # tones are kept in 64ths, so that many thin layers do not add up rounding
# Catmull-Rom: weights of the four points around a piece at its quarters, in 128ths.
_SPLINE = np.array([[0, 128, 0, 0], [-9, 111, 29, -3], [-8, 72, 72, -8], [-3, 29, 111, -9]])

_OCTAGON = ((128, 0), (90, 90), (0, 128), (-90, 90), (-128, 0), (-90, -90), (0, -128), (90, -90))

Number = int | np.ndarray
Point = tuple[Number, Number]


@dataclass(frozen=True)
class Mask:
    """Coverage of the pixels around a shape: int32 (frames, rows, columns), 0.._FULL.

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


class Sketch:
    """The canvas of all frames, with their pose: fill, stroke and blob paint on it."""

    def __init__(self, person: Person, shots: Shots, actions: Mapping[int, np.ndarray]) -> None:
        self.person = person
        self.shots = shots
        self._actions = actions
        self._cosine = 1024 - shots.turn**2 // 2048
        self.pixels = np.full((len(shots.turn), SIDE, SIDE), person.backdrop * _DEEP, np.int32)
        grid = 100 * np.arange(SIDE) + 50 - 50 * SIDE
        x = grid[None, None, :] - shots.shift_x[:, None, None]
        y = grid[None, :, None] - shots.shift_y[:, None, None]
        cosine, sine, scale = (v[:, None, None] for v in (self._cosine, shots.turn, shots.scale))
        self._x = ((x * cosine + y * sine) // scale).astype(np.int32)
        self._y = ((y * cosine - x * sine) // scale).astype(np.int32)

    def act(self, number: int, side: int, reach: int = 100) -> np.ndarray:
        """Intensity of an action unit as (frames,), 0..reach; side 0 is the mean of both."""
        action = self._actions[number]
        if side == 0:
            return action.sum(axis=1) * reach // 200
        return action[:, SIDES.index(side)] * reach // 100

    def _table(self, values: Sequence[Number]) -> np.ndarray:
        """Values, each a scalar or (frames,), as (frames, values)."""
        frames = len(self._cosine)
        return np.stack([np.broadcast_to(value, frames) for value in values], axis=1)

    def place(self, points: Sequence[Point], depth: int) -> np.ndarray:
        """Points of the face as (frames, points, 2), in 256ths of a pixel of the picture.

        They move by `depth` percent of the yaw: the nose more than the ears.
        """
        x, y = self._table([x for x, _ in points]), self._table([y for _, y in points])
        x += (self.shots.yaw * depth // 100)[:, None]
        shots = self.shots
        cosine, sine, scale = (v[:, None] for v in (self._cosine, shots.turn, shots.scale))
        across = (x * cosine - y * sine) * scale // 2**20 + shots.shift_x[:, None]
        down = (y * cosine + x * sine) * scale // 2**20 + shots.shift_y[:, None]
        return (np.stack([across, down], axis=2) + 50 * SIDE) * 256 // 100

    def shape(self, points: Sequence[Point], depth: int = 100) -> Mask:
        """The inside of the smooth closed curve through the points."""
        return _coverage(_smooth(self.place(points, depth), closed=True))

    def paint(self, mask: Mask, tone: int, opacity: Number = 100) -> None:
        """Blend a tone into the picture; opacity in percent."""
        under = self.pixels[mask.box]
        strength = mask.cover * _per_pixel(np.clip(opacity, 0, 100)) // 100
        under += (tone * _DEEP - under) * strength // _FULL

    def restore_outside(self, mask: Mask, before: np.ndarray) -> None:
        """Undo outside the mask what was painted since the pixels were `before`."""
        before[mask.box] += (self.pixels - before)[mask.box] * mask.cover // _FULL
        self.pixels = before

    def fill(self, points: Sequence[Point], tone: int, depth: int = 100) -> None:
        """Paint the smooth closed curve through the points."""
        self.paint(self.shape(points, depth), tone)

    def stroke(
        self,
        points: Sequence[Point],
        widths: Sequence[Number],
        tone: int,
        opacity: Number = 100,
        depth: int = 100,
    ) -> None:
        """Paint a line through the points; `widths` are half the width at each point."""
        half = self._table(widths)[:, :, None] * 256 // 100
        curve = _smooth(np.concatenate([self.place(points, depth), half], axis=2), closed=False)
        line, half = curve[:, :, :2], curve[:, :, 2]
        ahead = np.concatenate([line[:, 1:], line[:, -1:]], axis=1)
        behind = np.concatenate([line[:, :1], line[:, :-1]], axis=1)
        dx, dy = np.moveaxis(ahead - behind, 2, 0)
        wide, narrow = np.maximum(abs(dx), abs(dy)), np.minimum(abs(dx), abs(dy))
        length = np.maximum(wide + narrow * 3 // 8, 1)  # the root, to 7%, without a root
        normal = np.stack([-dy, dx], axis=2) * half[:, :, None] // length[:, :, None]
        outline = np.concatenate([line + normal, (line - normal)[:, ::-1]], axis=1)
        if isinstance(opacity, np.ndarray):
            outline *= (opacity > 0)[:, None, None]  # nothing to fill where nothing would show
        self.paint(_coverage(outline), tone, opacity)

    def blob(
        self, centre: Point, radii: Point, tone: int, opacity: Number, depth: int = 100
    ) -> None:
        """Paint an ellipse that fades from its centre to nothing at its rim: soft shading."""
        middle = self.place([centre], depth)[:, 0] // 256
        # A turned ellipse at the largest scale stays within 5/4 of its longer radius.
        reach = max(int(np.max(radius)) for radius in radii) * 5 // 400 + 1
        left, top = (middle.min(axis=0) - reach).clip(0, SIDE).tolist()
        right, bottom = (middle.max(axis=0) + reach + 1).clip(0, SIDE).tolist()
        here = np.s_[:, top:bottom, left:right]
        x = _per_pixel(centre[0] + self.shots.yaw * depth // 100)
        across = (self._x[here] - x) * 128 // _per_pixel(radii[0])
        down = (self._y[here] - _per_pixel(centre[1])) * 128 // _per_pixel(radii[1])
        near = np.maximum(128 * 128 - across.clip(-128, 128) ** 2 - down.clip(-128, 128) ** 2, 0)
        self.paint(Mask(top, left, (near >> 7) ** 2 * _FULL >> 14), tone, opacity)

    def developed(self) -> np.ndarray:
        """The finished frames, with light and contrast applied."""
        shots = self.shots
        slope = self._x * _per_pixel(shots.light_x) + self._y * _per_pixel(shots.light_y)
        lit = self.pixels * (1000 + slope // 240 * _per_pixel(shots.light) // 100) // 1000
        tone = 128 + (lit // _DEEP - 128) * _per_pixel(shots.contrast) // 100
        return tone.clip(0, 255).astype(np.uint8)


def _per_pixel(value: Number) -> Number:
    return value.astype(np.int32)[:, None, None] if np.ndim(value) else int(value)


def _smooth(points: np.ndarray, closed: bool) -> np.ndarray:
    """Points (frames, n, k) on the Catmull-Rom curve through the given ones, four a piece."""
    count = points.shape[1] - (not closed)
    around = np.arange(count)[:, None] + np.arange(-1, 3)
    around = around % count if closed else around.clip(0, count)
    curve = (_SPLINE @ points[:, around] // 128).reshape(len(points), 4 * count, -1)
    return curve if closed else np.concatenate([curve, points[:, -1:]], axis=1)


def _coverage(outline: np.ndarray) -> Mask:
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
    return Mask(top, left, np.minimum(winding, _FULL))


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
