"""How the camera sees a drawn face: side light, blur, exposure, contrast and noise."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.person import Shots
from ferpipe.sources.sample.raster import TONE, per_pixel
from ferpipe.sources.sample.sketch import Sketch


def photograph(face: Sketch, grain: np.ndarray) -> np.ndarray:
    """Take the pictures of a face.

    Args:
        face: the drawn frames.
        grain: int (frames, 48, 48), random, -255..255.

    Returns:
        uint8 (frames, 48, 48).
    """
    shots = face.shots
    picture = _blurred(_lit(face), shots) // TONE
    picture = 128 + (picture - 128) * per_pixel(shots.contrast) // 100 + per_pixel(shots.exposure)
    picture += grain * per_pixel(shots.noise.clip(0)) // 255
    return picture.clip(0, 255).astype(np.uint8)


def _lit(face: Sketch) -> np.ndarray:
    """Light from a side: what is turned away darkens more than the other side brightens."""
    shots = face.shots
    x, y = face.x.clip(-1900, 1900), face.y.clip(-2200, 2200)
    facing = (x * per_pixel(shots.light_x) + y * per_pixel(shots.light_y)) // 100
    facing = np.where(facing < 0, facing, facing // 3)
    gain = 1000 + facing * per_pixel(shots.light.clip(0)) // 240
    return face.pixels * gain.clip(250, 1250) // 1000


def _blurred(picture: np.ndarray, shots: Shots) -> np.ndarray:
    """Defocus blurs along both axes, motion (of the head, sideways) along rows."""
    defocus, motion = (per_pixel(percent.clip(0, 100)) for percent in (shots.defocus, shots.motion))
    picture = _smoothed(_smoothed(picture, defocus), motion)
    return _smoothed(picture.swapaxes(1, 2), defocus).swapaxes(1, 2)


def _smoothed(picture: np.ndarray, percent: np.ndarray) -> np.ndarray:
    """Mix each row with what 1, 2, 1 smooths it to."""
    padded = np.pad(picture, [(0, 0), (0, 0), (1, 1)], mode="edge")
    around = padded[:, :, :-2] - 2 * picture + padded[:, :, 2:]
    return picture + around * percent // 400
