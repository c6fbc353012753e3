"""Who is drawn, and how each picture of them is taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Person:
    """What stays the same in all pictures of a person.

    Lengths are hundredths of a pixel, tones 0..255, `*_percent` are of the feature they name.
    """

    skin: int
    hair: int
    backdrop: int
    clothes: int
    head_width: int
    jaw_percent: int
    chin: int
    hair_style: str
    hair_volume: int
    hairline: int
    parting: int
    eye_distance: int
    eye_height: int
    eye_width: int
    eye_open: int
    eye_slant: int
    iris: int
    brow_height: int
    brow_thickness: int
    brow_arch: int
    brow_darkness: int
    nose_length: int
    nose_width: int
    mouth_height: int
    mouth_width: int
    lip_thickness: int
    lip_darkness: int
    beard: int
    glasses: int
    age: int


@dataclass(frozen=True)
class Shots:
    """How each frame is taken: int arrays of shape (frames,).

    `shift_x`, `shift_y` and `yaw` (how far the features slide over the head) are hundredths of a
    pixel, `turn` is 1024 times the sine of the tilt, `scale` is in 1024ths; `light_x`, `light_y`
    point to the lamp (-100..100), `light` is its strength and `contrast` the film's, in percent.
    """

    shift_x: np.ndarray
    shift_y: np.ndarray
    turn: np.ndarray
    scale: np.ndarray
    yaw: np.ndarray
    light_x: np.ndarray
    light_y: np.ndarray
    light: np.ndarray
    contrast: np.ndarray
