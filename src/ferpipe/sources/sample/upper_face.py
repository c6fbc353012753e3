"""The upper face: eyes, brows and forehead, moved by the action units 1 to 7 and 9."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.raster import SIDES, Point, darker, lighter, octagon, on_side
from ferpipe.sources.sample.sketch import Sketch


def eye(face: Sketch, side: int) -> None:
    """One eye: upper lid raiser (5), lid tightener (7), cheek raiser (6), nose wrinkler (9)."""
    person = face.person
    x, y, half = person.eye_distance, person.eye_height, person.eye_width
    tight = face.act(7, side) + face.act(9, side, 80)
    upper = np.maximum(person.eye_open + face.act(5, side, 190) - tight * 7 // 10, 70)
    lower = person.eye_open * 7 // 10 + face.act(5, side, 30) - tight - face.act(6, side, 150)
    lower = np.maximum(lower, 10)
    inner, outer, slant = x - half, x + half, person.eye_slant
    near, far = (inner * 6 + outer * 4) // 10, (inner * 2 + outer * 8) // 10
    first, last = (inner, y + 30), (outer, y - slant)
    above = [first, (near, y - upper), (far, y - upper * 7 // 10 - slant // 2), last]
    below = [first, (near, y + lower), (far, y + lower * 7 // 10 - slant // 2), last]

    opening = face.shape(on_side(side, [*above, *below[-2:0:-1]]))
    face.paint(opening, lighter(person.skin, 80))
    # The glint is on the same side of both eyes: it mirrors one lamp.
    ahead, ball_y = pupil(face, side)
    ball_x = ahead + face.shots.gaze
    rounds = ((0, 0, 215, person.iris), (0, 0, 107, 10), (-70, -80, 54, 255))
    for right, down, radius, tone in rounds:
        disc = face.shape(octagon(ball_x + right, ball_y + down, radius, radius))
        face.paint(disc.within(opening), tone)
    _lids(face, side, above, below)


def pupil(face: Sketch, side: int) -> Point:
    """Where the pupil of an eye is that looks straight ahead."""
    return side * (face.person.eye_distance - 20), face.person.eye_height - 40


def _lids(face: Sketch, side: int, above: list[Point], below: list[Point]) -> None:
    """Lashes, the crease above the eye, the pouch below and the crow's feet (6)."""
    person = face.person
    lash, dark = darker(person.skin, 82), darker(person.skin, 50)
    face.stroke(on_side(side, above), (25, 60, 60, 35), lash)
    face.stroke(on_side(side, below), (15, 25, 30, 20), lash, 55)
    outer, y = above[-1]
    crease = [*((px, py - 170) for px, py in above[:-1]), (outer, y - 90)]
    face.stroke(on_side(side, crease), (10, 30, 30, 15), dark, 60)
    pouch = face.act(6, side, 80) + face.act(7, side, 35) + face.act(9, side, 30)
    pouch += person.wrinkles // 2
    face.stroke(on_side(side, [(px, py + 190) for px, py in below]), (10, 40, 40, 10), dark, pouch)
    feet = face.act(6, side, 80) + person.wrinkles // 2
    for rise in (-150, 40, 220):
        foot = [(outer + 130, y + rise // 2), (outer + 400, y + rise)]
        face.stroke(on_side(side, foot), (35, 15), dark, feet)


def brow(face: Sketch, side: int) -> None:
    """One brow: inner (1) and outer (2) raiser, lowerer (4), the nose wrinkler (9) pulls too."""
    person = face.person
    y = person.eye_height - person.brow_height + side * person.brow_skew
    inner_up, outer_up, knit = face.act(1, side), face.act(2, side), face.act(4, side)
    pulled = face.act(9, side, 170)
    # With both, the inner brow goes up and together: the lowerer loses most of its fall.
    fall = knit * (130 - inner_up) // 100
    inner_x = person.eye_distance - person.eye_width - 20 - knit * 6 // 5
    inner_y = y - inner_up * 33 // 10 + fall * 23 // 10 + pulled
    middle_y = y - person.brow_arch - inner_up * 12 // 10 - outer_up * 26 // 10 + fall * 17 // 10
    outer_y = y + 90 - outer_up * 24 // 10 + knit * 3 // 10 + inner_up * 3 // 10 + pulled // 3
    inner_y, outer_y = inner_y + person.brow_tilt, outer_y - person.brow_tilt // 2
    far = person.eye_distance + person.eye_width
    thick = person.brow_thickness
    line = [(inner_x, inner_y), ((inner_x + far) // 2, middle_y + pulled * 2 // 3)]
    line += [(far + 160, outer_y)]
    tone = darker(min(person.hair, person.skin * 3 // 4), person.brow_darkness)
    face.stroke(on_side(side, line), (thick * 8 // 10, thick, thick * 3 // 10), tone, 92)


def forehead(face: Sketch) -> None:
    """Lines that raised brows (1, 2) fold into the forehead, and the furrow between them (4)."""
    person = face.person
    dark = darker(person.skin, 50)
    raised = face.act(1, 0, 60) + face.act(2, 0, 40) - face.act(4, 0, 20)
    top = person.eye_height - person.brow_height
    for row in (0, 1):
        y = top - 470 - row * 260
        line = [(-650, y + 60), (-300, y), (0, y + 40), (300, y), (650, y + 60)]
        face.stroke(line, (10, 30, 35, 30, 10), dark, raised * 6 // 10 + person.wrinkles // 2)
    for side in SIDES:
        furrow = [(120, top - 120), (90, top + 110), (130, top + 330)]
        knit = face.act(4, side, 95) + person.wrinkles // 3
        face.stroke(on_side(side, furrow), (25, 60, 25), dark, knit)
