import hashlib
import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from networks import train_params

from ferpipe.core.errors import PipelineError
from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare
from ferpipe.model.network import build_model, with_probabilities

DAMAGED = 40
CLASSES = ["anger", "happy", "sadness"]
HERE = Path(__file__).parent
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), dtype=np.uint8)


def classifier(**changes):
    prepare(seed=1)
    return with_probabilities(build_model(train_params(**changes), 16, 1, classes=3))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(path, classes=CLASSES):
    return saving.load(path, (16, 16, 1), classes)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A saved model."""
    path = tmp_path_factory.mktemp("sound") / "model.keras"
    saving.save(classifier(), path, CLASSES)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


def test_the_same_weights_give_the_same_bytes_in_another_process(sound, path):
    code = f"""
import sys; sys.path[:0] = {[str(HERE.parent), str(HERE)]!r}
from pathlib import Path
import test_saving
from ferpipe.model import saving
from ferpipe.model.backend import keras
keras.layers.Dense(3); keras.Input((2,))  # Keras counts what was built before
saving.save(test_saving.classifier(), Path({str(path)!r}), test_saving.CLASSES)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert digest(sound) == digest(path)


def test_a_network_with_counted_layer_names_is_byte_stable_too(tmp_path):
    for name in ("first", "second"):
        saving.save(classifier(backbone="InceptionV3", input_size=75), tmp_path / name)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_a_loaded_model_predicts_the_same_and_saves_the_same(tmp_path, path):
    model = classifier(input_size=24)
    saving.save(model, path)
    loaded = load(path)
    assert np.array_equal(saving.predict(loaded, IMAGES, 4), saving.predict(model, IMAGES, 4))
    saving.save(loaded, tmp_path / "again.keras")
    assert digest(path) == digest(tmp_path / "again.keras")


def test_the_file_has_no_date_and_no_optimizer(path):
    model = classifier()
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(IMAGES.astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]])
    saving.save(model, path)
    with zipfile.ZipFile(path) as zipped:
        assert {entry.date_time[0] for entry in zipped.infolist()} == {1980}
    parts = parts_of(path)
    text = parts["config.json"] + parts["metadata.json"]
    assert b"date_saved" not in text
    assert b"adam" not in text
    assert b"optimizer" not in parts["model.weights.h5"]


def test_it_loads_where_this_package_is_not(tmp_path, path):
    saving.save(classifier(backbone="ResNet50", input_size=32), path)
    code = """
import sys, keras, numpy
keras.saving.load_model("model.keras").predict(numpy.zeros((1, 16, 16, 1)), verbose=0)
assert not any(name.startswith("ferpipe") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_predictions_do_not_depend_on_the_batch_size():
    model = classifier()
    at_once = saving.predict(model, IMAGES, 5)
    np.testing.assert_allclose(saving.predict(model, IMAGES, 2), at_once, rtol=1e-5)
    assert at_once.shape == (5, 3)


def test_a_missing_model_is_named(path):
    with pytest.raises(PipelineError, match=r"model.keras is missing; run `dvc repro`"):
        load(path)


def test_a_model_for_other_records_is_refused(sound):
    with pytest.raises(PipelineError, match=r"\(16, 16, 1, 3\) .* \(16, 16, 1, 7\)"):
        load(sound, [*CLASSES, *CLASSES, "more"])
    message = r"\['anger', 'happy', 'sadness'\].* \['happy', 'anger', 'sadness'\]"
    with pytest.raises(PipelineError, match=message):
        load(sound, ["happy", "anger", "sadness"])


@pytest.mark.parametrize("metadata", [b"x", b"[]", b"{}", None])
def test_a_file_without_class_names_is_checked_for_their_number_only(path, sound, metadata):
    write_parts(path, parts_of(sound) | {"metadata.json": metadata})
    assert saving.classes(path) == []
    if metadata == b"{}":
        load(path, ["happy", "anger", "sadness"])


# Files from elsewhere


@dataclass
class Opens:
    """Unpickling it creates a file."""

    path: Path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def parts_of(path):
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def write_parts(path, parts):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in parts.items():
            if data is not None:
                zipped.writestr(name, data)


def layer(module, name, **values):
    """Replace the model's first layer; MARK in a value is the file that no code may create."""

    def change(parts, mark):
        config = json.loads(parts["config.json"])
        changes = {"module": module, "class_name": name, "registered_name": None, **values}
        config["config"]["layers"][1].update(changes)
        return {"config.json": json.dumps(config).replace("MARK", str(mark)).encode()}

    return change


def part(name, data):
    """Replace a part of the file by data, or by a function of the file that no code may create."""
    return lambda parts, mark: {name: data(mark) if callable(data) else data}


def weights(new):
    """Replace the first array of the weights by a function of it."""

    def change(parts, mark):
        file = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(file, "r+") as opened:
            first = opened.visititems(
                lambda name, item: name if isinstance(item, h5py.Dataset) else None
            )
            value = opened[first][...]
            del opened[first]
            opened[first] = new(value)
        return {"model.weights.h5": file.getvalue()}

    return change


SYSTEM = {"module": "os", "class_name": "system", "config": {"command": "touch MARK"}}
FUNCTION = {"module": "os", "class_name": "function", "config": "system"}
# Each returns the parts that differ from a good file's, given those and the file to be created.
HOSTILE = {
    "class of another package": layer("subprocess", "Popen", config={"args": ["touch", "MARK"]}),
    "built-in function": layer("builtins", "exec", config={"source": "open('MARK', 'w')"}),
    "function as activation": layer(
        "keras.layers", "LayerNormalization", config={"activation": FUNCTION}
    ),
    "class of this package": layer("ferpipe.cli", "main", config={}),
    "the whole of it another class": part(
        "config.json", lambda mark: json.dumps(SYSTEM).replace("MARK", str(mark)).encode()
    ),
    "custom class": layer(None, "Mine", registered_name="Custom>Mine"),
    "PyTorch inside": layer("keras.layers", "TorchModuleWrapper", config={}),
    "SavedModel beside it": layer("keras.layers", "TFSMLayer", config={"filepath": "elsewhere"}),
    "layer that opens a file": layer(
        "keras.layers", "StringLookup", config={"vocabulary": "/etc/passwd"}
    ),
    "pickled config": part("config.json", lambda mark: pickle.dumps(Opens(mark))),
    "pickled weights": part("model.weights.h5", lambda mark: pickle.dumps(Opens(mark))),
    "arrays of pickles": part(
        "model.weights.npz", lambda mark: pickle.dumps(np.array([Opens(mark)], dtype=object))
    ),
    "no weights": part("model.weights.h5", None),
    "config of nothing": part("config.json", b"{}"),
    "config that nests without end": part("config.json", b"[" * 100_000),
    "weights of another shape": weights(lambda array: np.zeros(3)),
    "weights in another file": weights(lambda array: h5py.ExternalLink("/etc/passwd", "/a")),
    "weights that are no numbers": weights(lambda array: array * np.nan),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_as_model_and_as_weights_and_runs_nothing(
    tmp_path, path, sound, change
):
    mark, parts = tmp_path / "mark", parts_of(sound)
    write_parts(path, parts | change(parts, mark))
    with pytest.raises(PipelineError, match=r"model\.keras is not a model that loads"):
        load(path)
    params = train_params(weights=str(path), weights_sha256=digest(path))
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        build_model(params, 16, 1, classes=3)
    assert not mark.exists()


def test_a_pickle_under_the_name_of_a_model_is_not_opened(tmp_path, path):
    path.write_bytes(pickle.dumps(Opens(tmp_path / "mark")))
    with pytest.raises(PipelineError, match="is not a model that loads"):
        load(path)
    assert not (tmp_path / "mark").exists()


class Nested(keras.layers.Layer):
    """A layer with a sublayer in a list, or in a list of lists."""

    def __init__(self, deep):
        super().__init__(name="nested")
        dense = keras.layers.Dense(2, name="a")
        dense.build((None, 4))
        self.blocks = [[dense]] if deep else [dense]
        self.built = True


def test_of_kerass_warnings_only_those_of_missing_weights_are_errors(tmp_path):
    path = tmp_path / "flat.weights.h5"
    keras.Sequential([keras.Input((4,)), Nested(deep=False)]).save_weights(path)
    other = keras.Sequential([keras.Input((4,)), Nested(deep=True)])
    with saving.complete_weights(), pytest.raises(UserWarning, match="freshly-initialized"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="a new warning"), saving.complete_weights():
        warnings.warn("a new warning of a new Keras", UserWarning, stacklevel=1)


def save_with_keras(path, *layers):
    keras.Sequential([keras.Input((16, 16, 1)), *layers]).save(path)


def test_a_lambda_is_not_called(tmp_path, path):
    mark = tmp_path / "mark"
    name = str(mark)

    def leave(image):
        open(name, "w").close()  # noqa: PTH123 - a Lambda keeps text, not a path
        return image

    output = [keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Softmax()]
    save_with_keras(path, keras.layers.Lambda(lambda image: leave(image)), *output)
    mark.unlink()  # building it has called it
    with pytest.raises(PipelineError, match=r"builtins\.function is not a part of Keras"):
        load(path)
    assert not mark.exists()


def test_another_network_saved_by_keras_is_accepted_if_it_ends_in_a_softmax(path):
    logits = [keras.layers.Flatten(), keras.layers.Dense(3)]
    save_with_keras(path, *logits, keras.layers.Softmax())
    assert saving.predict(load(path), IMAGES, 5).shape == (5, 3)
    save_with_keras(path, *logits)
    with pytest.raises(PipelineError, match="does not end in a softmax"):
        load(path)


def test_truncated_and_damaged_files_end_in_one_line(path, sound):
    """Every part of a zip has a checksum, so damage is always detected."""
    good = sound.read_bytes()
    rng = np.random.default_rng(0)
    lengths = [0, 100, len(good) - 100, *rng.integers(len(good), size=DAMAGED // 3)]
    damaged = [bytearray(good[:length]) for length in lengths]
    for _ in range(DAMAGED - len(lengths)):
        damaged.append(bytearray(good))
        for _ in range(int(rng.integers(1, 5))):
            damaged[-1][rng.integers(len(good))] ^= int(rng.integers(1, 256))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(PipelineError, match=r"model.keras is not a model that loads") as error:
            load(path)
        assert "\n" not in str(error.value)
