"""The canvas of a drawn face, which turns, tilts and shifts what is painted on it.

Lengths are hundredths of a pixel in a 48x48 picture whose centre is (0, 0), x to the viewer's
right and y down. Tones are 0 (black) to 255. Intensities of action units are 0 to 100. All frames
of a person are drawn together: the first axis of every array is the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ferpipe.sources.sample.person import Person, Shots
from ferpipe.sources.sample.raster import (
    FULL,
    SIDE,
    SIDES,
    TONE,
    Mask,
    Number,
    Point,
    coverage,
    per_pixel,
    smooth,
)

_ROUND = 2600  # from the middle of the face to where a turn of the head moves nothing


class Sketch:
    """The canvas of all frames, with their pose: fill, stroke and blob paint on it."""

    def __init__(self, person: Person, shots: Shots, actions: Mapping[int, np.ndarray]) -> None:
        self.person = person
        self.shots = shots
        self._actions = actions
        self._cosine = 1024 - shots.turn**2 // 2048
        self.pixels = np.full((len(shots.turn), SIDE, SIDE), person.backdrop * TONE, np.int32)
        grid = 100 * np.arange(SIDE) + 50 - 50 * SIDE
        x = grid[None, None, :] - shots.shift_x[:, None, None]
        y = grid[None, :, None] - shots.shift_y[:, None, None]
        cosine, sine, scale = (v[:, None, None] for v in (self._cosine, shots.turn, shots.scale))
        self.x = ((x * cosine + y * sine) // scale).astype(np.int32)
        self.y = ((y * cosine - x * sine) // scale).astype(np.int32)

    def act(self, number: int, side: int, reach: int = 100) -> np.ndarray:
        """Intensity of an action unit as (frames,), 0..reach; side 0 is the mean of both."""
        action = self._actions[number]
        if side == 0:
            return action.sum(axis=1) * reach // 200
        return action[:, SIDES.index(side)] * reach // 100

    def turned_away(self, side: int, reach: int) -> np.ndarray:
        """How much a side of the face is turned away from the lamp, as (frames,), below 0 if not.

        It is `reach` for a lamp of full strength at the other side.
        """
        return -side * self.shots.light_x * self.shots.light * reach // 10_000

    def _table(self, values: Sequence[Number]) -> np.ndarray:
        """Values, each a scalar or (frames,), as (frames, values)."""
        table = np.empty((len(self._cosine), len(values)), np.int64)
        for column, value in enumerate(values):
            table[:, column] = value
        return table

    def turned(self, points: Sequence[Point], depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of points in the turned head, x and y as (frames, points).

        Yaw and pitch move them by `depth` percent of what they move the middle of the face: the
        nose more than the ears, and less towards the rim of the head, which narrows the far side.
        """
        x, y = self._table([x for x, _ in points]), self._table([y for _, y in points])
        near = depth * (_ROUND**2 - x**2 - y**2).clip(0) // (_ROUND**2 // 10)
        x += self.shots.yaw[:, None] * near // 1000
        y += self.shots.pitch[:, None] * near // 1000
        return x, y

    def place(self, points: Sequence[Point], depth: int) -> np.ndarray:
        """Points of the face as (frames, points, 2), in 256ths of a pixel of the picture."""
        x, y = self.turned(points, depth)
        shots = self.shots
        cosine, sine, scale = (v[:, None] for v in (self._cosine, shots.turn, shots.scale))
        across = (x * cosine - y * sine) * scale // 2**20 + shots.shift_x[:, None]
        down = (y * cosine + x * sine) * scale // 2**20 + shots.shift_y[:, None]
        return (np.stack([across, down], axis=2) + 50 * SIDE) * 256 // 100

    def shape(self, points: Sequence[Point], depth: int = 100) -> Mask:
        """The inside of the smooth closed curve through the points."""
        return coverage(smooth(self.place(points, depth), closed=True))

    def paint(self, mask: Mask, tone: int, opacity: Number = 100) -> None:
        """Blend a tone into the picture; opacity in percent."""
        under = self.pixels[mask.box]
        strength = mask.cover * per_pixel(np.clip(opacity, 0, 100)) // 100
        under += (tone * TONE - under) * strength // FULL

    def restore_outside(self, mask: Mask, before: np.ndarray) -> None:
        """Undo outside the mask what was painted since the pixels were `before`."""
        before[mask.box] += (self.pixels - before)[mask.box] * mask.cover // FULL
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
        curve = smooth(np.concatenate([self.place(points, depth), half], axis=2), closed=False)
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
        self.paint(coverage(outline), tone, opacity)

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
        x, y = (values[:, 0] for values in self.turned([centre], depth))
        across = (self.x[here] - per_pixel(x)) * 128 // per_pixel(radii[0])
        down = (self.y[here] - per_pixel(y)) * 128 // per_pixel(radii[1])
        near = np.maximum(128 * 128 - across.clip(-128, 128) ** 2 - down.clip(-128, 128) ** 2, 0)
        self.paint(Mask(top, left, (near >> 7) ** 2 * FULL >> 14), tone, opacity)
