"""Draws a face from facial action units; `sketch` has the units of lengths and tones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ferpipe.sources.sample import worn
from ferpipe.sources.sample.lower_face import cheek, moustache, mouth, nose
from ferpipe.sources.sample.person import Person, Shots
from ferpipe.sources.sample.raster import SIDES, darker, lighter, mirrored, on_side
from ferpipe.sources.sample.sketch import Sketch
from ferpipe.sources.sample.upper_face import brow, eye, forehead


def draw(person: Person, shots: Shots, actions: Mapping[int, np.ndarray]) -> Sketch:
    """Draw the frames of a person, evenly lit.

    Args:
        person: the face at rest.
        shots: pose, light and hand of each frame.
        actions: FACS number -> int (frames, 2), intensity on the viewer's left and right, 0..100.
    """
    face = Sketch(person, shots, actions)
    _background(face)
    _head(face)
    nose(face)
    for side in SIDES:
        cheek(face, side)
        eye(face, side)
        brow(face, side)
    forehead(face)
    mouth(face)
    if person.moustache:
        moustache(face)
    worn.hair(face)
    if person.glasses:
        worn.glasses(face)
    if person.hat:
        worn.hat(face)
    if person.scarf:
        worn.scarf(face)
    worn.hand(face)
    return face


def _background(face: Sketch) -> None:
    """Clothes, neck and the hair behind the head."""
    person = face.person
    wide = person.head_width
    if person.hair_style in ("long", "bob"):
        end = 2700 if person.hair_style == "long" else 1300
        out = wide + person.hair_volume
        half = [(0, -2300 - person.hair_volume), (out * 7 // 10, -2000), (out, -900)]
        half += [(out + 60, 300), (out + 40, end), (wide * 6 // 10, end + 200), (0, end + 200)]
        face.fill(mirrored(half), person.hair, depth=-30)
    shoulders = [(0, 2150), (700, 2150), (1900, 2500), (2900, 3200), (2900, 4200), (0, 4200)]
    face.fill(mirrored(shoulders), person.clothes, depth=-40)
    neck = [(0, 1200), (800, 1300), (780, 2000), (900, 2400), (0, 2800)]
    face.fill(mirrored(neck), darker(person.skin, 28), depth=-20)


def _head(face: Sketch) -> None:
    """The head, its ears and its volume."""
    person, shots = face.person, face.shots
    skin, wide = person.skin, person.head_width
    for side in SIDES:
        ear = [(-60, -650), (170, -700), (230, -350), (120, 100), (-60, 250)]
        face.fill(on_side(side, [(wide + x, y) for x, y in ear]), darker(skin, 16), depth=-60)
    drop = face.act(26, 0, 260)
    chin = person.chin + drop
    jaw = wide * person.jaw_percent // 100
    half = [(0, -2200), (wide * 60 // 100, -1980), (wide * 93 // 100, -1250), (wide, -300)]
    half += [(wide * 95 // 100, 500), (jaw, 1250 + drop // 2), (jaw * 50 // 100, chin - 170)]
    outline = face.shape(mirrored([*half, (0, chin)]), depth=0)
    face.paint(outline, skin)
    # Darker to the rim and lighter towards the lamp, so that the disc looks like a ball.
    before = face.pixels.copy()
    face.blob((0, -100), (wide * 5 // 4, 3000), lighter(skin, 20), 60, depth=0)
    lamp = (shots.light_x * 9, shots.light_y * 9 - 300)
    face.blob(lamp, (1500, 1900), lighter(skin, 45), shots.light // 2, depth=60)
    for x, y, radius, opacity in person.marks:
        face.blob((x, y), (radius, radius), darker(skin, 50), opacity)
    dark = darker(skin, 45)
    for side in SIDES:
        face.blob((side * wide, 700), (900, 2600), dark, 35, depth=0)
        face.blob((side * person.eye_distance, person.eye_height - 130), (720, 560), dark, 38)
        face.blob((side * 1150, 500), (800, 1100), darker(skin, 70), face.turned_away(side, 55))
    face.blob((0, person.mouth_height + 560 + drop), (600, 230), dark, 35)
    face.restore_outside(outline, before)
    if person.beard:
        top = person.mouth_height + 330 + drop
        beard = [(0, top), (480, top - 80), (wide * 70 // 100, 950), (wide * 90 // 100, 100)]
        beard += [(wide * 11 // 10, 500), (wide * 11 // 10, chin), (0, chin + 300)]
        covered = face.shape(mirrored(beard), depth=30).within(outline)
        face.paint(covered, person.hair, person.beard)
