import json

import numpy as np
import pytest

from ferpipe.faces.detection import Face
from ferpipe.prediction import outputs
from ferpipe.prediction.predictor import Prediction

CLASSES = ["anger", "joy"]
IMAGE = np.zeros((4, 4, 1), np.uint8)
FACE = Face((1.25, 2.0, 30.06, 40.0), 0.99988, np.zeros((5, 2)))


def prediction(face, *probabilities, distance=None):
    index = int(np.argmax(probabilities))
    return Prediction(CLASSES[index], index, np.array(probabilities), IMAGE, face, distance)


@pytest.fixture
def table():
    faces = [prediction(FACE, 1 / 3, 2 / 3, distance=1.23456), prediction(None, 1.0, 0.0)]
    return [
        *outputs.rows("a,b.png", faces),
        *outputs.rows("none.png", []),
    ]


def test_the_csv_has_a_row_for_each_face_and_each_picture_without(tmp_path, table):
    outputs.write_csv(tmp_path / "out.csv", CLASSES, table)
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "path,frame,seconds,face,left,top,right,bottom,confidence,label,distance,p_anger,p_joy",
        '"a,b.png",,,1,1.2,2.0,30.1,40.0,0.9999,joy,1.2346,0.333333,0.666667',
        '"a,b.png",,,2,,,,,,anger,,1.0,0.0',
        "none.png,,,0,,,,,,,,,",
    ]


def test_the_json_has_the_same_values(tmp_path, table):
    outputs.write_json(tmp_path / "out.json", CLASSES, table)
    first, second, none = json.loads((tmp_path / "out.json").read_text())
    assert list(first) == outputs.columns(CLASSES)
    assert (first["left"], first["label"], first["p_joy"]) == (1.2, "joy", 0.666667)
    assert (second["face"], second["left"]) == (2, None)
    assert (first["distance"], second["distance"]) == (1.2346, None)
    assert (none["face"], none["label"]) == (0, None)


def test_a_class_may_have_any_name(tmp_path):
    names = ['a "b", c', "ärger\u2028"]
    outputs.write_json(tmp_path / "out.json", names, outputs.rows("x", []) and [["x", 0]])
    assert f"p_{names[0]}" in json.loads((tmp_path / "out.json").read_text())[0]
