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


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_each_face_has_a_box_and_bars_as_long_as_its_probabilities(mode):
    picture = noise(1, 640, 480, mode)
    box = (100.2, 60.0, 220.0, 200.0)
    shown = annotate.annotated(picture, [prediction(box, 0.2, 0.8, 0.0)], CLASSES)
    assert shown.size == picture.size
    assert orange(shown)[60:200, 100].mean() > 0.9
    less = annotate.annotated(picture, [prediction(box, 0.3, 0.4, 0.3)], CLASSES)
    none = annotate.annotated(picture, [prediction(box, 0.0, 0.0, 0.0)], CLASSES)
    assert orange(shown).sum() > orange(none).sum()
    changed = np.asarray(shown, int) != np.asarray(picture.convert("RGB"), int)
    assert changed.any(axis=2).mean() < 0.5
    assert not np.array_equal(np.asarray(less), np.asarray(shown))


@pytest.mark.parametrize("box", [(0, 0, 30, 30), (600, 440, 639, 479), (-20, -20, 700, 500)])
def test_a_panel_stays_inside_the_picture(box):
    picture = noise(1, 640, 480)
    shown = annotate.annotated(picture, [prediction(box, 0.1, 0.9, 0.0)], CLASSES)
    assert shown.size == picture.size
    assert (np.asarray(shown) == 0x1B).all(axis=2).sum() > 2000  # the panel's background


def test_of_a_picture_that_is_a_face_the_panel_is_below():
    picture = noise(1, 48, 48)
    shown = annotate.annotated(picture, [prediction(None, 0.1, 0.9, 0.0)], CLASSES)
    assert np.array_equal(np.asarray(shown)[:48, :48, 0], np.asarray(picture))
    assert shown.height > 48
    assert annotate.annotated(picture, [], CLASSES).crop((0, 0, 48, 48)).size == (48, 48)


@pytest.mark.parametrize("box", [None, (100.2, 60.0, 220.0, 200.0)])
def test_a_face_unlike_training_has_a_mark_and_a_panel_of_the_same_size(box):
    picture = noise(1, 640, 480)
    near, far = (
        annotate.annotated(picture, [prediction(box, 0.2, 0.8, 0.0, distance=distance)], CLASSES)
        for distance in (0.99, 1.01)
    )
    assert near.size == far.size
    assert orange(far).sum() > orange(near).sum() + 20
    none = annotate.annotated(picture, [prediction(box, 0.2, 0.8, 0.0)], CLASSES)
    assert np.array_equal(np.asarray(none), np.asarray(near))


def test_a_face_is_beside_its_heat_map():
    heat = np.zeros((24, 24), np.uint8)
    heat[:12] = 255
    shown = annotate.explained(prediction(None, 0.1, 0.9, 0.0), heat)
    assert shown.size == (384, 192)
    assert not orange(shown)[:, :192].any()
    assert orange(shown)[:96, 192:].all() and not orange(shown)[96:, 192:].any()
