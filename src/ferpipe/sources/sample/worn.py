"""What covers parts of a drawn face: hair, hat, glasses, scarf and hands."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.raster import (
    SIDES,
    Point,
    darker,
    lighter,
    mirrored,
    octagon,
    on_side,
)
from ferpipe.sources.sample.sketch import Sketch

# Where the first finger's tip is, the way from the tip to the knuckle, and the way to the next
# finger; x is counted outward on the side of the hand. 0 is no hand.
HANDS = (
    (0, 0, 0, 0, 0, 0),
    (-350, 1800, 1000, 300, -40, 280),  # on the chin
    (1150, -150, 150, 1150, 270, 60),  # along the cheek
    (230, 1050, 1000, 420, 0, 275),  # on half of the mouth
    (700, -1000, 1000, 500, 40, -275),  # on the outer brow and the temple
)
# Hair style -> how much lower the hairline is, and how much lower beside its middle.
HAIRLINES = {"fringe": (560, 0), "swept": (330, 60), "receding": (-120, -230), "parted": (0, 190)}


def hair(face: Sketch) -> None:
    """Hair over the forehead, by style; a fringe reaches the brows, swept hair one of them."""
    person = face.person
    style = person.hair_style
    if style == "bald":
        return
    volume = person.hair_volume // 4 if style == "crew" else person.hair_volume
    lower, bays = HAIRLINES.get(style, (0, 80))
    line = person.hairline + lower
    lean = person.parting
    if style == "swept":
        lean = 300 if lean > 0 else -300
    out = person.head_width + volume // 2
    outer = [(out, -350), (out, -1250), (out * 7 // 10, -2100 - volume // 2), (0, -2300 - volume)]
    if style == "curly":
        outer = [(out - 60, -250), (out + 190, -500), (out + 40, -800), (out + 180, -1100)]
        outer += [(out - 30, -1350), (out + 40, -1700), (out * 8 // 10, -1850), (out // 2, -2500)]
        outer += [(0, -2500)]
    side = person.head_width * 94 // 100
    inner = [(-side, -500), (-side * 92 // 100, -1150), (-side // 2, line + bays - lean)]
    inner += [(lean * 2, line - abs(lean) // 2), (side // 2, line + bays + lean)]
    inner += [(side * 92 // 100, -1150), (side, -500)]
    if style == "fringe":
        strands = enumerate(range(-side * 8 // 10, side * 8 // 10 + 1, side // 5))
        inner[2:5] = [(x, line + lean // 2 + (180, -60)[n % 2]) for n, x in strands]
    face.fill([*mirrored(outer), *inner], person.hair, depth=25)
    gloss = [(-out // 2, -2050), (-out // 5, -2200), (out // 3, -2130)]
    face.stroke(gloss, (20, 90, 20), lighter(person.hair, 35), 45, depth=25)


def hat(face: Sketch) -> None:
    """A knitted hat down to the hairline, with its brim turned up."""
    person = face.person
    out, brim = person.head_width + 130, -1330
    half = [(0, -2750), (out * 6 // 10, -2600), (out, -1900), (out + 30, brim), (0, brim - 130)]
    face.fill(mirrored(half), person.hat, depth=25)
    band = [(-out, brim - 150), (0, brim - 290), (out, brim - 150)]
    face.stroke(band, (150, 190, 150), darker(person.hat, 25), depth=25)


def scarf(face: Sketch) -> None:
    """A scarf up to the chin, with a fold."""
    person = face.person
    top = person.chin + face.act(26, 0, 120) - 130
    half = [(0, top), (900, top - 190), (1500, top - 380), (1900, top + 500)]
    half += [(1700, 4000), (0, 4000)]
    face.fill(mirrored(half), person.scarf, depth=0)
    fold = [(-1300, top + 250), (0, top + 420), (1300, top + 200)]
    face.stroke(fold, (40, 90, 40), darker(person.scarf, 35), 80, depth=0)


def glasses(face: Sketch) -> None:
    """Two round rims with arms and a bridge, and the lamp's glare on the lenses."""
    person = face.person
    y = person.eye_height + 30
    for side in SIDES:
        ring = octagon(person.eye_distance + 30, y, 640, 560)
        x = side * (person.eye_distance + 30) + face.shots.light_x * 2
        glare = [(x - 330, y + 210), (x + 60, y - 330)]
        face.stroke(glare, (90, 150), 245, face.shots.glare.clip(0, 75), depth=115)
        face.stroke(on_side(side, [*ring, ring[0]]), [40] * 9, person.glasses, 80, depth=115)
        arm = [(person.eye_distance + 660, y - 60), (person.head_width, y - 100)]
        face.stroke(on_side(side, arm), (35, 35), person.glasses, 70, depth=50)
    gap = person.eye_distance - 620
    face.stroke([(-gap, y - 80), (0, y - 150), (gap, y - 80)], (35, 35, 35), person.glasses, 75)


def hand(face: Sketch) -> None:
    """The hand of the frames that have one: four fingers with dark edges, then its back."""
    shots = face.shots
    if not shots.hand.any():
        return
    skin = lighter(face.person.skin, 10)
    opacity = 100 * (shots.hand > 0)
    x, y, root_x, root_y, next_x, next_y = np.array(HANDS)[shots.hand].T

    def along(finger: int, percents: tuple[int, ...]) -> list[Point]:
        """Points from the tip of a finger (from 0, in halves) over its knuckle (100 percent)."""
        start_x, start_y = x + next_x * finger // 2, y + next_y * finger // 2
        return [
            (
                shots.hand_side * (start_x + root_x * percent // 100),
                start_y + root_y * percent // 100,
            )
            for percent in percents
        ]

    for finger, shorter in enumerate((15, 0, 5, 30)):
        line = along(2 * finger, (shorter, 60, 130))
        face.stroke(line, (90, 165, 175), darker(skin, 35), opacity, depth=60)
        face.stroke(line, (65, 130, 150), skin, opacity, depth=60)
    back = along(3, (120, 180, 400))
    face.stroke(back, (480, 560, 380), darker(skin, 6), opacity, depth=60)
