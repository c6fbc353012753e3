import numpy as np
import pytest
from networks import bars, schema, train_params

from ferpipe.core import tables
from ferpipe.data import records
from ferpipe.stages import cv_fold

PARTS = {"train": bars(50, seed=1), "val": bars(30, seed=2), "test": bars(31, seed=3)}


def test_val_and_test_are_predicted_by_the_trained_network():
    predicted = cv_fold.predict(train_params(epochs=6), schema(), PARTS)
    assert list(predicted) == ["val", "test"]
    for name, probabilities in predicted.items():
        assert probabilities.shape == (len(PARTS[name].labels), 3)
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert np.mean(probabilities.argmax(axis=1) == PARTS[name].labels) > 0.9


def test_val_is_not_predicted_if_the_head_is_refit_on_it():
    params = train_params(head="solved", epochs=0)
    assert list(cv_fold.predict(params, schema(), PARTS)) == ["test"]
    tuned = params.model_copy(update={"epochs": 1})
    assert list(cv_fold.predict(tuned, schema(), PARTS)) == ["val", "test"]


def test_without_val_test_selects_the_epoch_and_is_predicted_alone(capsys):
    parts = PARTS | {"val": PARTS["val"].take(np.array([], int))}
    predicted = cv_fold.predict(train_params(epochs=1), schema(selected_on_test=True), parts)
    assert list(predicted) == ["test"]
    assert "test loss" in capsys.readouterr().out


def test_rows_have_split_classes_and_six_decimals(tmp_path):
    part = records.Dataset(np.zeros((2, 8, 8, 1), np.uint8), np.array([1, 0]), ["b/1", "a/2"])
    probabilities = np.array([[0.25, 0.75], [1 / 3, 2 / 3]])
    table = cv_fold.predictions_table("val", part, probabilities, ["a", "b"])
    tables.write_table(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_text() == (
        "path,split,actual,predicted,p_a,p_b\n"
        "b/1,val,b,b,0.250000,0.750000\n"
        "a/2,val,a,b,0.333333,0.666667\n"
    )
