import numpy as np
import pytest
from faces import noise

from ferpipe.faces.detection import Face
from ferpipe.prediction import annotate
from ferpipe.prediction.predictor import Prediction

CLASSES = ["anger", "joy", "a class of quite a long name"]


def prediction(box, *probabilities, distance=None):
    face = box and Face(box, 0.9, np.zeros((5, 2)))
    image = np.full((24, 24, 1), 60, np.uint8)
    return Prediction("joy", 1, np.array(probabilities), image, face, distance)


def orange(image):
    red, green, blue = np.asarray(image.convert("RGB"), int).transpose(2, 0, 1)
    return (red - blue > 120) & (green > 80)


def parts(shown, picture):
    """The picture and the panels below it."""
    width, height = picture.size
    return shown.crop((0, 0, width, height)), shown.crop((0, height, *shown.size))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_each_face_has_a_box_and_below_bars_as_long_as_its_probabilities(mode):
    picture = noise(1, 640, 480, mode)
    box = (100.2, 60.0, 220.0, 200.0)
    lengths = []
    for share in (0.9, 0.4, 0.0):
        shown = annotate.annotated(picture, [prediction(box, 0.0, share, 0.0)], CLASSES)
        above, below = parts(shown, picture)
        assert orange(above)[60:200, 98:101].any(axis=1).all()
        lengths.append(orange(below).sum())
    assert lengths[0] > lengths[1] > lengths[2] > 0
    changed = np.asarray(above, int) != np.asarray(picture.convert("RGB"), int)
    assert not changed[90:180, 130:210].any()  # the face


@pytest.mark.parametrize("box", [(0, 0, 30, 30), (600, 440, 639, 479), (-20, -20, 700, 500)])
def test_a_box_may_leave_the_picture(box):
    picture = noise(1, 640, 480)
    shown = annotate.annotated(picture, [prediction(box, 0.1, 0.9, 0.0)], CLASSES)
    assert shown.width == 640
    assert (np.asarray(parts(shown, picture)[1]) == 0x1B).all(axis=2).mean() > 0.5


@pytest.mark.parametrize(("rows", "panels"), [(None, 7), (1, 4), (0, 0)])
def test_panels_stand_in_rows_of_which_a_video_has_a_fixed_number(rows, panels):
    picture = noise(1, 640, 480)
    faces = [prediction((80 * n, 50, 80 * n + 60, 110), 0.0, 1.0, 0.0) for n in range(7)]
    shown = annotate.annotated(picture, faces, CLASSES, rows)
    below = parts(shown, picture)[1]
    unit = 11
    assert shown.size == (640, 480 + (2 if rows is None else rows) * 9 * unit)
    bars = orange(below)[:, 8 * unit :: 14 * unit]  # a column of each bar
    assert sum(bars[row * 9 * unit : (row + 1) * 9 * unit].any(axis=0).sum() for row in (0, 1)) == (
        panels
    )


def test_a_video_keeps_its_size_without_a_face():
    picture = noise(1, 640, 480)
    one = [prediction((10, 10, 90, 90), 0.1, 0.9, 0.0)]
    assert (
        annotate.annotated(picture, [], CLASSES, 1).size
        == annotate.annotated(picture, one, CLASSES, 1).size
    )
    assert annotate.annotated(picture, [], CLASSES).size == picture.size


def test_of_a_picture_that_is_a_face_the_panel_is_below():
    picture = noise(1, 48, 48)
    shown = annotate.annotated(picture, [prediction(None, 0.1, 0.9, 0.0)], CLASSES)
    assert np.array_equal(np.asarray(shown)[:48, :48, 0], np.asarray(picture))
    assert shown.height > 48


def test_a_face_unlike_training_is_marked():
    picture = noise(1, 640, 480)
    box = (100, 60, 220, 200)
    near, far = (
        annotate.annotated(picture, [prediction(box, 0.1, 0.9, 0.0, distance=distance)], CLASSES)
        for distance in (0.9, 1.1)
    )
    assert far.size == near.size
    assert orange(far).sum() > orange(near).sum()


def test_a_face_is_beside_its_heat_map():
    heat = np.zeros((24, 24), np.uint8)
    heat[:12] = 255
    shown = annotate.explained(prediction(None, 0.1, 0.9, 0.0), heat)
    assert shown.size == (384, 192)
    assert not orange(shown)[:, :192].any()
    assert orange(shown)[:96, 192:].all() and not orange(shown)[96:, 192:].any()
