"""The built-in sample: faces that this package draws, named and framed as CK+'s are.

A face is drawn from what its muscles do, and an expression is a set of facial action units. The
sets are the prototypes of EMFACS (Friesen & Ekman, "EMFACS-7: Emotional Facial Action Coding
System", 1983; Ekman, Friesen & Hager, "Facial Action Coding System: Investigator's Guide", 2002),
and for contempt, which shows on one side, the criteria of CK+ (Lucey et al., "The Extended
Cohn-Kanade Dataset (CK+)", 2010, table 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from ferpipe.sources.sample.face import ACTION_UNITS, draw
from ferpipe.sources.sample.person import Person, Shots
from ferpipe.sources.sample.raster import SIDE

FRAMES = 3  # neighbouring frames of each sequence, as the copies of CK+ on Kaggle have them
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
ONE_SIDED = ("contempt",)

_SHORT_HAIR = ("short", "crew", "fringe", "parted", "curly", "receding", "bald")
_LONG_HAIR = ("long", "long", "bob", "bob", "curly")
# What `Shots` holds -> (lowest, highest) of a subject, reach of a sequence, reach of a frame.
_SHOTS = {
    "shift_x": ((0, 0), 220, 20),
    "shift_y": ((0, 0), 200, 20),
    "turn": ((0, 0), 100, 8),
    "scale": ((1120, 1120), 70, 5),
    "yaw": ((0, 0), 200, 15),
    "light_x": ((-100, 100), 30, 0),
    "light_y": ((-100, 20), 30, 0),
    "light": ((10, 75), 10, 0),
    "contrast": ((85, 110), 5, 0),
}
_GRAIN = 5  # the film's noise reaches this many tones either way


def draw_subject(seed: int, subject: int) -> np.ndarray:
    """Draw all frames of a subject.

    Args:
        seed: of the sample.
        subject: number from 1.

    Returns:
        uint8 array of shape (7, 3, 48, 48), values 0..255: classes in the order of `PROTOTYPES`,
        frames in order of growing intensity.
    """
    whole = _draws(seed, subject)
    shots: dict[str, list[int]] = {name: [] for name in _SHOTS}
    actions = np.zeros((len(PROTOTYPES), FRAMES, len(ACTION_UNITS), 2), np.int64)
    grain = np.zeros((len(PROTOTYPES), FRAMES, SIDE, SIDE), np.int64)
    for row, label in enumerate(PROTOTYPES):
        sequence = _draws(seed, subject, label)
        actions[row] = _intensities(label, sequence)
        for frame in range(FRAMES):
            moment = _draws(seed, subject, label, frame)
            for name, (span, reach, jitter) in _SHOTS.items():
                value = whole(name, *span) + sequence(name, -reach, reach)
                shots[name].append(value + moment(name, -jitter, jitter))
            grain[row, frame] = _noise(seed, subject, label, frame)
    by_unit = np.moveaxis(actions, 2, 0).reshape(len(ACTION_UNITS), -1, 2)
    faces = draw(
        draw_person(whole),
        Shots(**{name: np.array(values) for name, values in shots.items()}),
        dict(zip(ACTION_UNITS, by_unit, strict=True)),
    )
    return (faces.reshape(grain.shape) + grain).clip(0, 255).astype(np.uint8)


def draw_person(between: Callable[[str, int, int], int]) -> Person:
    """Choose a person's traits.

    Args:
        between: draws an integer for the trait named, low to high both included.

    Returns:
        A person within the range of those who live here.
    """

    def sometimes(name: str, one_in: int, low: int, high: int) -> int:
        return 0 if between(f"has {name}", 1, one_in) > 1 else between(name, low, high)

    short = between("short hair", 0, 1) == 1
    styles = _SHORT_HAIR if short else _LONG_HAIR
    return Person(
        skin=between("skin", 125, 200),
        hair=sometimes("fair hair", 4, 90, 165) or between("hair", 12, 70),
        backdrop=between("backdrop", 30, 215),
        clothes=between("clothes", 20, 220),
        head_width=between("head_width", 1480, 1820),
        jaw_percent=between("jaw_percent", 62, 88),
        chin=between("chin", 1980, 2280),
        hair_style=styles[between("hair_style", 0, len(styles) - 1)],
        hair_volume=between("hair_volume", 60, 420),
        hairline=between("hairline", -1800, -1520),
        parting=between("parting", -200, 200),
        eye_distance=between("eye_distance", 770, 940),
        eye_height=between("eye_height", -400, -240),
        eye_width=between("eye_width", 390, 470),
        eye_open=between("eye_open", 220, 290),
        eye_slant=between("eye_slant", -60, 110),
        iris=between("iris", 20, 110),
        brow_height=between("brow_height", 520, 650),
        brow_thickness=between("brow_thickness", 80, 145),
        brow_arch=between("brow_arch", 60, 200),
        brow_darkness=between("brow_darkness", 20, 60),
        nose_length=between("nose_length", 430, 640),
        nose_width=between("nose_width", 300, 420),
        mouth_height=between("mouth_height", 1150, 1290),
        mouth_width=between("mouth_width", 620, 740),
        lip_thickness=between("lip_thickness", 110, 230),
        lip_darkness=between("lip_darkness", 22, 48),
        beard=sometimes("beard", 4, 25, 50) if short else 0,
        glasses=sometimes("glasses", 7, 15, 80),
        age=between("age", 0, 100),
    )


def file_names(seed: int, subject: int) -> list[list[str]]:
    """Names as CK+ has them, `S001_003_00000012.png`: subject, sequence, frame.

    Returns:
        For each class in the order of `PROTOTYPES`, the names of its frames. Sequence numbers are
        dealt out anew for every subject, so that they do not tell the class.
    """
    ranks = {label: _draws(seed, subject, label)("rank", 0, 2**32) for label in PROTOTYPES}
    order = sorted(ranks, key=lambda label: (ranks[label], label))
    names = []
    for label in PROTOTYPES:
        number = order.index(label) + 1
        first = _draws(seed, subject, label)("first_frame", 8, 40)
        names.append(
            [f"S{subject:03}_{number:03}_{first + frame:08}.png" for frame in range(FRAMES)]
        )
    return names


def _draws(*key: object) -> Callable[[str, int, int], int]:
    """Random integers by name, low to high both included.

    Each is a hash of (key, name), so adding one leaves all others as they were. numpy's generators
    may change their streams between versions; SHA-256 cannot.
    """

    def draw_between(name: str, low: int, high: int) -> int:
        digest = hashlib.sha256("/".join(map(str, (*key, name))).encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)

    return draw_between


def _noise(*key: object) -> np.ndarray:
    """Film grain: int64 (48, 48), a triangular distribution over -_GRAIN.._GRAIN."""
    data = hashlib.shake_128("/".join(map(str, key)).encode()).digest(2 * SIDE * SIDE)
    pair = np.frombuffer(data, np.uint8).reshape(2, SIDE, SIDE).astype(np.int64)
    return (pair.sum(axis=0) - 255) * _GRAIN // 255


def _intensities(label: str, sequence: Callable[[str, int, int], int]) -> np.ndarray:
    """A sequence's action units: int64 (frames, len(ACTION_UNITS), 2 sides), 0..100."""
    strength = sequence("strength", 85, 100)
    growth = sequence("growth", 6, 12)
    weak_side = sequence("weak_side", 0, 1)
    weak_percent = 0 if label in ONE_SIDED else sequence("weak_percent", 80, 100)
    result = np.zeros((FRAMES, len(ACTION_UNITS), 2), np.int64)
    for unit, peak in PROTOTYPES[label].items():
        top = peak * strength * sequence(f"unit {unit}", 80, 100) // 10_000
        for frame in range(FRAMES):
            now = top * (100 - growth * (FRAMES - 1 - frame)) // 100
            result[frame, ACTION_UNITS.index(unit)] = now
            result[frame, ACTION_UNITS.index(unit), weak_side] = now * weak_percent // 100
    return result
