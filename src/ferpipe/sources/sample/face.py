"""Draws a face from facial action units; `raster` has the units of lengths and tones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ferpipe.sources.sample.face_parts import brow, cheek, eye, forehead, mouth, nose
from ferpipe.sources.sample.person import Person, Shots
from ferpipe.sources.sample.raster import SIDES, Sketch, darker, lighter, mirrored, octagon, on_side


def draw(person: Person, shots: Shots, actions: Mapping[int, np.ndarray]) -> np.ndarray:
    """Draw the frames of a person.

    Args:
        person: the face at rest.
        shots: pose and light of each frame.
        actions: FACS number -> int (frames, 2), intensity on the viewer's left and right, 0..100.

    Returns:
        uint8 (frames, 48, 48).
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
    _hair(face)
    if person.glasses:
        _glasses(face)
    return face.developed()


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
    dark = darker(skin, 45)
    for side in SIDES:
        face.blob((side * wide, 700), (900, 2600), dark, 35, depth=0)
        face.blob((side * person.eye_distance, person.eye_height - 130), (720, 560), dark, 38)
    face.blob((0, person.mouth_height + 560 + drop), (600, 230), dark, 35)
    face.restore_outside(outline, before)
    if person.beard:
        top = person.mouth_height + 330 + drop
        beard = [(0, top), (480, top - 80), (wide * 70 // 100, 950), (wide * 90 // 100, 100)]
        beard += [(wide * 11 // 10, 500), (wide * 11 // 10, chin), (0, chin + 300)]
        covered = face.shape(mirrored(beard), depth=30).within(outline)
        face.paint(covered, person.hair, person.beard)


def _hair(face: Sketch) -> None:
    """Hair over the forehead, by style."""
    person = face.person
    style = person.hair_style
    if style == "bald":
        return
    volume = person.hair_volume // 4 if style == "crew" else person.hair_volume
    line = person.hairline + {"fringe": 230, "receding": -120}.get(style, 0)
    bays = {"fringe": -60, "receding": -230, "parted": 190}.get(style, 80)
    lean = person.parting
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
    face.fill([*mirrored(outer), *inner], person.hair, depth=25)
    gloss = [(-out // 2, -2050), (-out // 5, -2200), (out // 3, -2130)]
    face.stroke(gloss, (20, 90, 20), lighter(person.hair, 35), 45, depth=25)


def _glasses(face: Sketch) -> None:
    """Two round rims with arms and a bridge."""
    person = face.person
    y = person.eye_height + 30
    for side in SIDES:
        ring = octagon(person.eye_distance + 30, y, 640, 560)
        face.stroke(on_side(side, [*ring, ring[0]]), [35] * 9, person.glasses, 75, depth=115)
        arm = [(person.eye_distance + 660, y - 60), (person.head_width, y - 100)]
        face.stroke(on_side(side, arm), (35, 35), person.glasses, 70, depth=50)
    gap = person.eye_distance - 620
    face.stroke([(-gap, y - 80), (0, y - 150), (gap, y - 80)], (35, 35, 35), person.glasses, 75)
