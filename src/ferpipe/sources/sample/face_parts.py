"""The features of a drawn face: nose, cheeks, eyes, brows, forehead and mouth."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.raster import SIDES, Point, Sketch, darker, lighter, octagon, on_side


def nose(face: Sketch) -> None:
    """The nose; the nose wrinkler (9) pulls it up and creases its root."""
    person = face.person
    skin = person.skin
    wrinkle = face.act(9, 0)
    tip = person.nose_length - wrinkle * 2 - face.act(10, 0, 60)
    wide = person.nose_width + face.act(9, 0, 90)
    face.blob((0, tip // 2 - 300), (190, 1000), lighter(skin, 45), 60, depth=150)
    face.blob((0, tip - 60), (260, 240), lighter(skin, 45), 60, depth=190)
    dark = darker(skin, 55)
    face.blob((0, tip + 200), (wide + 200, 170), dark, 55, depth=150)
    for side in SIDES:
        wing = [(wide - 40, tip - 200), (wide, tip), (wide - 130, tip + 110)]
        face.stroke(on_side(side, wing), (25, 45, 30), dark, 75, depth=150)
        nostril = [(70, tip + 110), (150, tip + 60), (230, tip + 120)]
        face.stroke(on_side(side, nostril), (30, 60, 25), darker(skin, 75), 85, depth=165)
        bridge = [(190, -700), (150, -250), (190, tip - 350)]
        face.stroke(on_side(side, bridge), (20, 40, 15), dark, 22, depth=140)
    for row in (0, 1):
        y = person.eye_height + 20 + 250 * row
        crease = [(-260, y - 90), (-110, y + 30), (0, y - 10), (110, y + 30), (260, y - 90)]
        face.stroke(crease, (15, 35, 40, 35, 15), dark, wrinkle * 7 // 10, depth=140)


def cheek(face: Sketch, side: int) -> None:
    """Cheek bulge (6, 12), the fold from nose to mouth corner, and the dimple (14)."""
    person = face.person
    skin = person.skin
    dark = darker(skin, 55)
    smile = np.minimum(face.act(6, side, 60) + face.act(12, side, 60), 100)
    bulge = (side * person.eye_distance * 11 // 10, 350 - smile * 2)
    face.blob(bulge, (620, 480), lighter(skin, 55), smile * 6 // 10)
    corner_x, corner_y = _corner(face, side)
    depth = person.age // 4 + face.act(12, side, 55) + face.act(9, side, 65)
    depth += face.act(10, side, 60) + face.act(15, side, 25) + face.act(20, side, 20)
    top = person.nose_length - 180 - face.act(9, side, 200)
    start = person.nose_width + 60
    out = np.maximum(corner_x, person.mouth_width) + 170
    fold = [(start, top), ((start + out) // 2 + 120, (top + corner_y) // 2 - 60)]
    face.stroke(on_side(side, [*fold, (out, corner_y - 30)]), (30, 65, 25), dark, depth)
    dimple = face.act(14, side)
    x = corner_x + 160
    mark = [(x, corner_y - 260), (x + 90, corner_y), (x, corner_y + 230)]
    face.stroke(on_side(side, mark), (25, 75, 25), dark, dimple)
    beside = (side * (x + 230), corner_y - 60)
    face.blob(beside, (250, 400), lighter(skin, 50), dimple // 2, depth=50)


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
    ball_x, ball_y = side * (x - 20), y - 40
    rounds = ((0, 0, 215, person.iris), (0, 0, 107, 10), (-70, -80, 54, 255))
    for right, down, radius, tone in rounds:
        disc = face.shape(octagon(ball_x + right, ball_y + down, radius, radius))
        face.paint(disc.within(opening), tone)
    _lids(face, side, above, below)


def _lids(face: Sketch, side: int, above: list[Point], below: list[Point]) -> None:
    """Lashes, the crease above the eye, the pouch below and the crow's feet (6)."""
    person = face.person
    lash, dark = darker(person.skin, 82), darker(person.skin, 50)
    face.stroke(on_side(side, above), (25, 60, 60, 35), lash)
    face.stroke(on_side(side, below), (15, 25, 30, 20), lash, 55)
    outer, y = above[-1]
    crease = [*((px, py - 170) for px, py in above[:-1]), (outer, y - 90)]
    face.stroke(on_side(side, crease), (10, 30, 30, 15), dark, 60)
    pouch = face.act(6, side, 80) + face.act(7, side, 35) + face.act(9, side, 30) + person.age // 4
    face.stroke(on_side(side, [(px, py + 190) for px, py in below]), (10, 40, 40, 10), dark, pouch)
    for rise in (-150, 40, 220):
        foot = [(outer + 130, y + rise // 2), (outer + 400, y + rise)]
        face.stroke(on_side(side, foot), (35, 15), dark, face.act(6, side, 80))


def brow(face: Sketch, side: int) -> None:
    """One brow: inner (1) and outer (2) raiser, lowerer (4), the nose wrinkler (9) pulls too."""
    person = face.person
    y = person.eye_height - person.brow_height
    inner_up, outer_up, knit = face.act(1, side), face.act(2, side), face.act(4, side)
    pulled = face.act(9, side, 170)
    # With both, the inner brow goes up and together: the lowerer loses most of its fall.
    fall = knit * (130 - inner_up) // 100
    inner_x = person.eye_distance - person.eye_width - 20 - knit * 6 // 5
    inner_y = y - inner_up * 33 // 10 + fall * 23 // 10 + pulled
    middle_y = y - person.brow_arch - inner_up * 12 // 10 - outer_up * 26 // 10 + fall * 14 // 10
    outer_y = y + 90 - outer_up * 24 // 10 + knit * 3 // 10 + inner_up * 3 // 10 + pulled // 3
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
        face.stroke(line, (10, 30, 35, 30, 10), dark, raised * 6 // 10)
    for side in SIDES:
        furrow = [(120, top - 120), (90, top + 110), (130, top + 330)]
        face.stroke(on_side(side, furrow), (25, 60, 25), dark, face.act(4, side, 95))


def _corner(face: Sketch, side: int) -> Point:
    """Where a mouth corner is: (x outward, y)."""
    act = face.act
    out = act(12, side, 220) + act(20, side, 260) + act(14, side, 90)
    into = act(23, side, 130) + act(26, side, 210) + act(17, side, 40) + act(10, side, 20)
    up = act(12, side, 330) + act(14, side, 230)
    down = act(15, side, 280) + act(20, side, 90) + act(26, side, 230) + act(10, side, 60)
    return face.person.mouth_width + out - into, face.person.mouth_height - up + down


def mouth(face: Sketch) -> None:
    """Lips, opening and teeth, and the fold that the chin raiser (17) makes below."""
    person = face.person
    skin = person.skin
    act = face.act
    (left_x, left_y), (right_x, right_y) = (_corner(face, side) for side in SIDES)
    middle = (right_x - left_x) // 2
    raised = act(10, 0, 230) + act(9, 0, 110)
    shut = person.mouth_height + act(12, 0, 90) - act(17, 0, 100) - act(15, 0, 40)
    upper = shut - raised - act(25, 0, 70) - act(26, 0, 60)
    gap = act(25, 0, 290) + act(26, 0, 600) + act(16, 0, 170) + raised * 6 // 10 - act(17, 0, 60)
    lower = upper + np.maximum(gap - act(24, 0, 200), 0)
    thin = 100 - act(23, 0, 45) - act(24, 0, 35) - act(12, 0, 25) - act(20, 0, 25)
    above = person.lip_thickness * np.maximum(thin, 12) // 100
    under = above * 13 // 10 + act(17, 0, 50)

    def line(height: np.ndarray, bow: int) -> list[Point]:
        """From corner to corner through the height of the middle; `bow` is how square it is."""
        points = [(-left_x, left_y)]
        points += [((middle - left_x) // 2, (left_y * (100 - bow) + height * bow) // 100)]
        points += [(middle, height)]
        points += [((middle + right_x) // 2, (right_y * (100 - bow) + height * bow) // 100)]
        return [*points, (right_x, right_y)]

    lip = darker(skin, person.lip_darkness)
    top = line(upper - above, 78)
    bottom = line(lower + under, 75)
    face.fill([*top, *reversed(bottom[1:-1])], darker(lip, 12))
    low = line(lower, 72)
    face.paint(face.shape([*low, *reversed(bottom[1:-1])]), lighter(lip, 14), 80)
    opening = face.shape([*line(upper, 75), *reversed(low[1:-1])])
    face.paint(opening, 28)
    show = act(12, 0, 260) + act(20, 0, 240) + act(10, 0, 220) + act(9, 0, 120) + act(16, 0, 60)
    teeth = face.shape([*line(upper, 75), *reversed(line(upper + show, 75)[1:-1])])
    face.paint(teeth.within(opening), 235, 90)
    shadow = darker(skin, 75)
    face.stroke(line(upper, 75), (50, 55, 45, 55, 50), shadow, 90)
    face.stroke(low, (50, 30, 30, 30, 50), shadow, 70)
    y = lower + under + 240
    boss = [(-330, y + 60), (0, y - 60), (330, y + 60)]
    face.stroke(boss, (20, 50, 20), shadow, act(17, 0, 60))
