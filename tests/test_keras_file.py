import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from networks import train_params

from ferpipe import keras_file
from ferpipe.backend import prepare
from ferpipe.errors import PipelineError
from ferpipe.model import build_model, with_probabilities

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), dtype=np.uint8)


def classifier(**changes):
    prepare(seed=1)
    return with_probabilities(build_model(train_params(**changes), 16, 1, classes=3))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_weights_give_the_same_bytes_in_another_process(tmp_path):
    keras_file.save(classifier(), tmp_path / "here.keras")
    there = tmp_path / "there.keras"
    code = f"""
import sys; sys.path[:0] = {[p for p in sys.path if p.endswith("tests")]!r}
from pathlib import Path
import test_keras_file
from ferpipe import keras_file
from ferpipe.backend import keras
keras.layers.Dense(3); keras.Input((2,))  # what was built before must not show
keras_file.save(test_keras_file.classifier(), Path({str(there)!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert digest(tmp_path / "here.keras") == digest(there)


def test_a_network_with_counted_layer_names_is_byte_stable_too(tmp_path):
    for name in ("first", "second"):
        model = classifier(backbone="InceptionV3", input_size=75)
        keras_file.save(model, tmp_path / f"{name}.keras")
    assert digest(tmp_path / "first.keras") == digest(tmp_path / "second.keras")


def test_another_weight_gives_other_bytes(tmp_path):
    model = classifier()
    keras_file.save(model, tmp_path / "first.keras")
    bias = model.get_layer("logits").bias
    bias.assign(bias + 1e-6)
    keras_file.save(model, tmp_path / "second.keras")
    assert digest(tmp_path / "first.keras") != digest(tmp_path / "second.keras")


def test_a_loaded_model_predicts_the_same_and_saves_the_same(tmp_path):
    model = classifier(input_size=24)
    path, again = tmp_path / "model.keras", tmp_path / "again.keras"
    keras_file.save(model, path)
    loaded = keras_file.load(path, (16, 16, 1), 3)
    expected = keras_file.predict(model, IMAGES, 4)
    assert np.array_equal(keras_file.predict(loaded, IMAGES, 4), expected)
    keras_file.save(loaded, again)
    assert digest(path) == digest(again)


def test_the_file_tells_no_date_and_no_optimizer(tmp_path):
    model = classifier()
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(IMAGES.astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]])
    keras_file.save(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as zipped:
        assert {entry.date_time[0] for entry in zipped.infolist()} == {1980}
        text = zipped.read("config.json") + zipped.read("metadata.json")
        weights = zipped.read("model.weights.h5")
    assert b"date_saved" not in text
    assert b"adam" not in text
    assert b"optimizer" not in weights


def test_it_loads_where_this_package_is_not(tmp_path):
    keras_file.save(classifier(backbone="ResNet50", input_size=32), tmp_path / "model.keras")
    code = """
import sys, keras, numpy
keras.saving.load_model("model.keras").predict(numpy.zeros((1, 16, 16, 1)), verbose=0)
assert not any(name.startswith("ferpipe") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_predicting_in_batches_is_predicting_at_once():
    model = classifier()
    at_once = keras_file.predict(model, IMAGES, 5)
    np.testing.assert_allclose(keras_file.predict(model, IMAGES, 2), at_once, rtol=1e-5)
    assert at_once.shape == (5, 3)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(PipelineError, match=r"model.keras is missing; run `dvc repro`"):
        keras_file.load(tmp_path / "model.keras", (16, 16, 1), 3)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_model_ends_in_one_line(tmp_path, keep):
    path = tmp_path / "model.keras"
    keras_file.save(classifier(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PipelineError, match=r"model.keras is not a model that loads"):
        keras_file.load(path, (16, 16, 1), 3)


def test_a_model_for_other_records_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    keras_file.save(classifier(), path)
    with pytest.raises(PipelineError, match=r"tells 3 classes apart, the records have .* and 7"):
        keras_file.load(path, (16, 16, 1), 7)
