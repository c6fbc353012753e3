"""Where the drawn faces have their landmarks, against what is drawn."""

import numpy as np
import pytest

from ferpipe.sources.sample import face, framing, people
from ferpipe.sources.sample.raster import SIDE
from ferpipe.sources.sample.sketch import Sketch


def visible(subject):
    """The scene of a subject of seed 1 with nothing before the face and no light from a side."""
    who, shots, actions = people.scene(1, subject)
    who = who._replace(glasses=0, moustache=0, beard=0, hair_style="bald", hat=0, marks=())
    return who, shots._replace(hand=0 * shots.hand, light=0 * shots.light), actions


def changed(subject, shots=None, **traits):
    """Per frame, x and y of the pixels that these traits or shots change; and the landmarks."""
    who, taken, actions = visible(subject)
    pixels = face.draw(who, taken, actions).pixels
    other = taken._replace(
        **{name: getattr(taken, name) + by for name, by in (shots or {}).items()}
    )
    moved = face.draw(who._replace(**traits), other, actions).pixels
    where = [np.argwhere(frame)[:, ::-1] + 0.5 for frame in abs(moved - pixels) > 64 * 8]
    return list(zip(where, framing.points(Sketch(who, taken, actions)), strict=True))


@pytest.mark.parametrize("subject", [1, 2, 3])
def test_eyes_are_where_the_gaze_moves_pixels(subject):
    # To both sides, so that the mean is where it looks straight ahead.
    for left, right in zip(
        changed(subject, {"gaze": -120}), changed(subject, {"gaze": 120}), strict=True
    ):
        pixels, points = np.concatenate([left[0], right[0]]), left[1]
        is_left = pixels[:, 0] < points[2, 0]
        for eye, side in zip(points[:2], (is_left, ~is_left), strict=True):
            assert np.abs(pixels[side].mean(axis=0) - eye).max() < 1.5


@pytest.mark.parametrize("subject", [1, 2, 3])
def test_the_nose_is_just_above_the_nostrils(subject):
    who, _, _ = visible(subject)
    for pixels, points in changed(subject, nose_length=who.nose_length + 60):
        right, down = np.median(pixels, axis=0) - points[2]
        assert abs(right) < 2.5
        assert 0 < down < 3.5


@pytest.mark.parametrize("subject", [1, 2, 3])
def test_mouth_corners_are_the_ends_of_the_lips(subject):
    for pixels, points in changed(subject, lip_darkness=100, lip_thickness=240):
        ends = pixels[[pixels[:, 0].argmin(), pixels[:, 0].argmax()]]
        assert np.abs(ends - points[3:]).max() < 2.5


def test_the_framing_is_the_mean_over_people():
    frames = [framing.landmarks(0, subject) for subject in range(1, 201)]
    mean = (np.concatenate(frames) / SIDE).mean(axis=(0, 1))
    assert framing.FRAMING.tolist() == mean.round(4).tolist()
    others = [framing.landmarks(1, subject) for subject in range(1, 41)]
    assert np.abs((np.concatenate(others) / SIDE).mean(axis=(0, 1)) - mean).max() < 0.01
