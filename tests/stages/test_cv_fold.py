import numpy as np
import pytest
from networks import bars, schema, train_params

from ferpipe.data import records
from ferpipe.stages import cv_fold

PARTS = {"train": bars(50, seed=1), "val": bars(30, seed=2), "test": bars(31, seed=3)}


def test_val_and_test_are_predicted_with_what_was_learned():
    found = cv_fold.predict(train_params(epochs=6), schema(), PARTS)
    assert list(found) == ["val", "test"]
    for name, probabilities in found.items():
        assert probabilities.shape == (len(PARTS[name].labels), 3)
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert np.mean(probabilities.argmax(axis=1) == PARTS[name].labels) > 0.9


def test_val_is_not_predicted_where_the_head_is_refit_on_it():
    params = train_params(head="solved", epochs=0)
    assert list(cv_fold.predict(params, schema(), PARTS)) == ["test"]
    tuned = params.model_copy(update={"epochs": 1})
    assert list(cv_fold.predict(tuned, schema(), PARTS)) == ["val", "test"]


def test_without_val_test_chooses_and_is_predicted_alone(capsys):
    nothing = records.Dataset(PARTS["val"].images[:0], PARTS["val"].labels[:0], [])
    parts = PARTS | {"val": nothing}
    found = cv_fold.predict(train_params(epochs=1), schema(selected_on_test=True), parts)
    assert list(found) == ["test"]
    assert "test loss" in capsys.readouterr().out


def test_a_row_names_split_classes_and_probabilities():
    part = records.Dataset(np.zeros((2, 8, 8, 1), np.uint8), np.array([1, 0]), ["b/1", "a/2"])
    rows = cv_fold.rows("val", part, np.array([[0.25, 0.75], [1 / 3, 2 / 3]]), ["a", "b"])
    assert rows == [
        ("b/1", "val", "b", "b", "0.250000", "0.750000"),
        ("a/2", "val", "a", "b", "0.333333", "0.666667"),
    ]


def test_the_images_of_a_fold_keep_their_order():
    everything = bars(6, seed=4)
    parts = cv_fold.parts_of(everything, ["train", "test", "val", "train", "test", "train"])
    assert {name: len(part.paths) for name, part in parts.items()} == {
        "train": 3,
        "val": 1,
        "test": 2,
    }
    assert parts["train"].paths == [everything.paths[row] for row in (0, 3, 5)]
    assert (parts["test"].images == everything.images[[1, 4]]).all()
    assert (parts["test"].labels == everything.labels[[1, 4]]).all()
