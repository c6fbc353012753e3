"""The people of the built-in sample and their expressions, named and framed as in CK+.

An expression is a set of facial action units: the prototypes of EMFACS (Friesen & Ekman,
"EMFACS-7: Emotional Facial Action Coding System", 1983; Ekman, Friesen & Hager, "Facial Action
Coding System: Investigator's Guide", 2002), and for contempt, which is one-sided, the criteria of
CK+ (Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", 2010, table 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ferpipe.sources.sample.camera import photograph
from ferpipe.sources.sample.face import draw
from ferpipe.sources.sample.person import SHOTS, Person, Shots, draw_person
from ferpipe.sources.sample.raster import SIDE, SIDES
from ferpipe.sources.sample.worn import HANDS

Draw = Callable[[str, int, int], int]  # draws a named integer, both bounds included

FRAMES = 3  # neighbouring frames of each sequence, as in CK+ on Kaggle
# Expression -> action unit (FACS number) -> intensity at the peak, 0..100.
PROTOTYPES: dict[str, dict[int, int]] = {
    "anger": {4: 100, 5: 45, 7: 70, 17: 45, 23: 90, 24: 80},
    "contempt": {12: 35, 14: 100},
    "disgust": {4: 40, 7: 30, 9: 100, 10: 90, 16: 30, 25: 25},
    "fear": {1: 90, 2: 55, 4: 70, 5: 100, 20: 100, 25: 70, 26: 15},
    "happy": {6: 90, 12: 100, 25: 100},
    "sadness": {1: 100, 4: 60, 15: 85, 17: 60},
    "surprise": {1: 90, 2: 100, 5: 70, 25: 50, 26: 100},
}
# Other styles of an expression, as changes of its prototype; people differ in the one they show.
STYLES: dict[str, tuple[dict[int, int], ...]] = {
    "anger": ({17: 0, 23: 0, 24: 0, 10: 45, 16: 60, 25: 100, 26: 15}, {5: 90, 7: 30, 17: 90}),
    "contempt": ({12: 60, 14: 70}, {12: 25, 17: 20}),
    "disgust": ({10: 30, 16: 0, 17: 80, 25: 0}, {4: 10, 9: 60, 10: 100, 16: 60, 25: 60}),
    "fear": ({20: 80, 25: 30, 26: 0}, {2: 85, 20: 75, 26: 45}),
    "happy": ({25: 0}, {6: 100, 25: 100, 26: 50}),
    "sadness": ({4: 20, 17: 20, 15: 100}, {4: 90, 7: 40, 17: 90}),
    "surprise": ({2: 85, 26: 65}, {5: 100, 25: 80}),
}
ACTION_UNITS = sorted(set().union(*PROTOTYPES.values()))
ONE_SIDED = ("contempt",)
HANDED = 6  # one sequence in so many shows a hand


def draw_subject(seed: int, subject: int) -> np.ndarray:
    """Draw all frames of a subject, numbered from 1.

    Returns:
        uint8 (7, 3, 48, 48): classes in the order of `PROTOTYPES`, frames by growing intensity.
    """
    grain = [_noise(seed, subject, label, n) for label in PROTOTYPES for n in range(FRAMES)]
    faces = photograph(draw(*scene(seed, subject)), np.stack(grain))
    return faces.reshape(len(PROTOTYPES), FRAMES, SIDE, SIDE)


def scene(seed: int, subject: int) -> tuple[Person, Shots, dict[int, np.ndarray]]:
    """What `face.draw` takes for all frames of a subject: traits, shots and actions."""
    shots: dict[str, list[int]] = {name: [] for name in SHOTS}
    actions, hands = [], []
    whole = partial(_draw_between, (seed, subject))
    for label in PROTOTYPES:
        sequence = partial(_draw_between, (seed, subject, label))
        actions.append(_intensities(label, whole, sequence))
        hand = sequence("hand", 1, len(HANDS) - 1) if sequence("has hand", 1, HANDED) == 1 else 0
        # A hand is on the weaker side, so that the expression still shows.
        hands += [(hand, SIDES[sequence("weak_side", 0, 1)])] * FRAMES
        for frame in range(FRAMES):
            moment = partial(_draw_between, (seed, subject, label, frame))
            for name, (span, reach, jitter) in SHOTS.items():
                value = whole(name, *span) + sequence(name, -reach, reach)
                shots[name].append(value + moment(name, -jitter, jitter))
    by_unit = dict(zip(ACTION_UNITS, np.concatenate(actions, axis=1), strict=True))
    taken = Shots(*map(np.array, shots.values()), *np.array(hands).T)
    return draw_person(whole), taken, by_unit


def file_names(seed: int, subject: int) -> list[list[str]]:
    """File names of each class's frames as in CK+: `S001_003_00000012.png`, the sequence second.

    Sequences are numbered in another order for each subject, so as not to give away the class.
    """
    draws = {label: partial(_draw_between, (seed, subject, label)) for label in PROTOTYPES}
    order = sorted(PROTOTYPES, key=lambda label: (draws[label]("rank", 0, 2**32), label))
    names = []
    for label in PROTOTYPES:
        sequence = f"S{subject:03}_{order.index(label) + 1:03}"
        first = draws[label]("first_frame", 8, 40)
        names.append([f"{sequence}_{first + frame:08}.png" for frame in range(FRAMES)])
    return names


def _draw_between(key: Sequence[object], name: str, low: int, high: int) -> int:
    """Draw an integer, both bounds included.

    It is a hash of key and name: a new name changes no other value. NumPy's generators may change
    between versions; SHA-256 cannot.
    """
    digest = hashlib.sha256("/".join(map(str, (*key, name))).encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


def _noise(*key: object) -> np.ndarray:
    """Film grain: int64 (48, 48), triangularly distributed over -255..255."""
    data = hashlib.shake_128("/".join(map(str, key)).encode()).digest(2 * SIDE * SIDE)
    pair = np.frombuffer(data, np.uint8).reshape(2, SIDE, SIDE).astype(np.int64)
    return pair.sum(axis=0) - 255


def _intensities(label: str, whole: Draw, sequence: Draw) -> np.ndarray:
    """Intensities of a sequence: int64 (len(ACTION_UNITS), frames, 2 sides), 0..100."""
    styles = ({}, *STYLES[label])
    style = styles[sequence("style", 0, len(styles) - 1)]
    strength = whole("strength", 90, 115) * sequence("strength", 90, 100)
    onset = sequence("onset", 52, 75)
    percent = onset + (100 - onset) * np.arange(FRAMES) // (FRAMES - 1)
    weak_side = sequence("weak_side", 0, 1)
    weak_percent = 0 if label in ONE_SIDED else sequence("weak_percent", 65, 100)
    result = np.zeros((len(ACTION_UNITS), FRAMES, 2), np.int64)
    for unit, peak in (PROTOTYPES[label] | style).items():
        action = result[ACTION_UNITS.index(unit)]
        top = min(peak * strength * sequence(f"unit {unit}", 85, 108) // 1_000_000, 100)
        action[:] = (top * percent // 100)[:, None]
        action[:, weak_side] = action[:, weak_side] * weak_percent // 100
    return result
