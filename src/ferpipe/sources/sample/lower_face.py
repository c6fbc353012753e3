"""The lower face: nose, cheeks and mouth, moved by the action units 6 and 9 to 26."""

from __future__ import annotations

import numpy as np

from ferpipe.sources.sample.raster import SIDES, Point, darker, lighter, on_side
from ferpipe.sources.sample.sketch import Sketch


def nose(face: Sketch) -> None:
    """The nose; the nose wrinkler (9) pulls it up and creases its root."""
    person = face.person
    skin = person.skin
    wrinkle = face.act(9, 0)
    tip = nose_tip(face)
    wide = person.nose_width + face.act(9, 0, 90)
    face.blob((0, tip // 2 - 300), (190, 1000), lighter(skin, 45), 60, depth=150)
    face.blob((0, tip - 60), (260, 240), lighter(skin, 45), 60, depth=190)
    dark = darker(skin, 55)
    for side in SIDES:
        shadow = (side * (wide // 2 + 110), tip - 230)
        face.blob(shadow, (wide * 9 // 10, 560), darker(skin, 70), face.turned_away(side, 75))
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


def nose_tip(face: Sketch) -> np.ndarray:
    """How far down the tip of the nose is."""
    return face.person.nose_length - face.act(9, 0) * 2 - face.act(10, 0, 60)


def cheek(face: Sketch, side: int) -> None:
    """Cheek bulge (6, 12), the fold from nose to mouth corner, and the dimple (14)."""
    person = face.person
    skin = person.skin
    dark = darker(skin, 55)
    smile = np.minimum(face.act(6, side, 60) + face.act(12, side, 60), 100)
    bulge = (side * person.eye_distance * 11 // 10, 350 - smile * 2)
    face.blob(bulge, (620, 480), lighter(skin, 55), smile * 6 // 10)
    corner_x, corner_y = mouth_corner(face, side)
    depth = person.wrinkles // 2 + face.act(12, side, 55) + face.act(9, side, 65)
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


def mouth_corner(face: Sketch, side: int) -> Point:
    """Where a corner of the mouth is: (x outward, y)."""
    act = face.act
    out = act(12, side, 220) + act(20, side, 260) + act(14, side, 90)
    into = act(23, side, 130) + act(26, side, 210) + act(17, side, 40) + act(10, side, 20)
    up = act(12, side, 330) + act(14, side, 260)
    down = act(15, side, 280) + act(20, side, 90) + act(26, side, 230) + act(10, side, 60)
    rest = face.person.mouth_height + face.person.mouth_curve + side * face.person.mouth_skew
    return face.person.mouth_width + out - into, rest - up + down


def mouth(face: Sketch) -> None:
    """Lips, opening and teeth, and the fold that the chin raiser (17) makes below."""
    person = face.person
    skin = person.skin
    act = face.act
    (left_x, left_y), (right_x, right_y) = (mouth_corner(face, side) for side in SIDES)
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


def moustache(face: Sketch) -> None:
    """Two tufts between nose and upper lip, which lifts (9, 10) and widens (12) them."""
    person = face.person
    y = person.mouth_height - person.lip_thickness - 110 - face.act(10, 0, 200) - face.act(9, 0, 90)
    for side in SIDES:
        end = (person.mouth_width * 8 // 10, mouth_corner(face, side)[1] - 110)
        tuft = [(30, y - 60), (300, y - 40), end]
        face.stroke(on_side(side, tuft), (90, 110, 40), person.hair, person.moustache)
