import hashlib
import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile
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


def test_the_same_weights_give_the_same_bytes_in_another_process(tmp_path):
    saving.save(classifier(), tmp_path / "here.keras")
    there = tmp_path / "there.keras"
    code = f"""
import sys; sys.path[:0] = {[str(HERE.parent), str(HERE)]!r}
from pathlib import Path
import test_saving
from ferpipe.model import saving
from ferpipe.model.backend import keras
keras.layers.Dense(3); keras.Input((2,))  # what was built before must not show
saving.save(test_saving.classifier(), Path({str(there)!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert digest(tmp_path / "here.keras") == digest(there)


def test_a_network_with_counted_layer_names_is_byte_stable_too(tmp_path):
    for name in ("first", "second"):
        model = classifier(backbone="InceptionV3", input_size=75)
        saving.save(model, tmp_path / f"{name}.keras")
    assert digest(tmp_path / "first.keras") == digest(tmp_path / "second.keras")


def test_another_weight_gives_other_bytes(tmp_path):
    model = classifier()
    saving.save(model, tmp_path / "first.keras")
    bias = model.get_layer("logits").bias
    bias.assign(bias + 1e-6)
    saving.save(model, tmp_path / "second.keras")
    assert digest(tmp_path / "first.keras") != digest(tmp_path / "second.keras")


def test_a_loaded_model_predicts_the_same_and_saves_the_same(tmp_path):
    model = classifier(input_size=24)
    path, again = tmp_path / "model.keras", tmp_path / "again.keras"
    saving.save(model, path)
    loaded = saving.load(path, (16, 16, 1), CLASSES)
    expected = saving.predict(model, IMAGES, 4)
    assert np.array_equal(saving.predict(loaded, IMAGES, 4), expected)
    saving.save(loaded, again)
    assert digest(path) == digest(again)


def test_the_file_tells_no_date_and_no_optimizer(tmp_path):
    model = classifier()
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(IMAGES.astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]])
    saving.save(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as zipped:
        assert {entry.date_time[0] for entry in zipped.infolist()} == {1980}
        text = zipped.read("config.json") + zipped.read("metadata.json")
        weights = zipped.read("model.weights.h5")
    assert b"date_saved" not in text
    assert b"adam" not in text
    assert b"optimizer" not in weights


def test_it_loads_where_this_package_is_not(tmp_path):
    saving.save(classifier(backbone="ResNet50", input_size=32), tmp_path / "model.keras")
    code = """
import sys, keras, numpy
keras.saving.load_model("model.keras").predict(numpy.zeros((1, 16, 16, 1)), verbose=0)
assert not any(name.startswith("ferpipe") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_predicting_in_batches_is_predicting_at_once():
    model = classifier()
    at_once = saving.predict(model, IMAGES, 5)
    np.testing.assert_allclose(saving.predict(model, IMAGES, 2), at_once, rtol=1e-5)
    assert at_once.shape == (5, 3)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(PipelineError, match=r"model.keras is missing; run `dvc repro`"):
        saving.load(tmp_path / "model.keras", (16, 16, 1), CLASSES)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_model_ends_in_one_line(tmp_path, keep):
    path = tmp_path / "model.keras"
    saving.save(classifier(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PipelineError, match=r"model.keras is not a model that loads"):
        saving.load(path, (16, 16, 1), CLASSES)


def test_a_model_for_other_records_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    saving.save(classifier(), path)
    with pytest.raises(PipelineError, match=r"has 3 classes, the records have .* and 7"):
        saving.load(path, (16, 16, 1), [*CLASSES, *CLASSES, "more"])


# Files that somebody else made


class Opens:
    """Whoever unpickles it leaves a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def parts_of(path):
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def with_layer(text, /, **changes):
    """The config with another first layer."""
    config = json.loads(text)
    config["config"]["layers"][1].update({"registered_name": None, **changes})
    return {"config.json": json.dumps(config).encode()}


def with_weights(weights, change):
    """The weights file after a change of its first array, given the file and the array's name."""
    file = io.BytesIO(weights)
    with h5py.File(file, "r+") as opened:
        names = []
        opened.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        change(opened, names[0])
    return {"model.weights.h5": file.getvalue()}


def replace(opened, name, value):
    del opened[name]
    opened[name] = value


def call(module, name, **config):
    return {"module": module, "class_name": name, "config": config}


# Name -> what of a good file is another, given its parts and the file that no code may make.
HOSTILE = {
    "class of another package": lambda parts, mark: with_layer(
        parts["config.json"], **call("subprocess", "Popen", args=["touch", str(mark)])
    ),
    "built-in function": lambda parts, mark: with_layer(
        parts["config.json"], **call("builtins", "exec", source=f"open({str(mark)!r}, 'w')")
    ),
    "function as activation": lambda parts, mark: with_layer(
        parts["config.json"],
        config={"activation": call("os", "function") | {"config": "system"}},
    ),
    "class of this package": lambda parts, mark: with_layer(
        parts["config.json"], **call("ferpipe.cli", "main")
    ),
    "the whole of it another class": lambda parts, mark: {
        "config.json": json.dumps(call("os", "system", command=f"touch {mark}")).encode()
    },
    "custom class": lambda parts, mark: with_layer(
        parts["config.json"], module=None, class_name="Mine", registered_name="Custom>Mine"
    ),
    "PyTorch inside": lambda parts, mark: with_layer(
        parts["config.json"], **call("keras.layers", "TorchModuleWrapper")
    ),
    "SavedModel beside it": lambda parts, mark: with_layer(
        parts["config.json"], **call("keras.layers", "TFSMLayer", filepath="elsewhere")
    ),
    "layer that opens a file": lambda parts, mark: with_layer(
        parts["config.json"], **call("keras.layers", "StringLookup", vocabulary="/etc/passwd")
    ),
    "pickled config": lambda parts, mark: {"config.json": pickle.dumps(Opens(mark))},
    "pickled weights": lambda parts, mark: {"model.weights.h5": pickle.dumps(Opens(mark))},
    "arrays of pickles": lambda parts, mark: {
        "model.weights.npz": pickle.dumps(np.array([Opens(mark)], dtype=object))
    },
    "no weights": lambda parts, mark: {"model.weights.h5": None},
    "config of nothing": lambda parts, mark: {"config.json": b"{}"},
    "config that nests without end": lambda parts, mark: {"config.json": b"[" * 100_000},
    "weights of another shape": lambda parts, mark: with_weights(
        parts["model.weights.h5"], lambda file, name: replace(file, name, np.zeros(3))
    ),
    "weights in another file": lambda parts, mark: with_weights(
        parts["model.weights.h5"],
        lambda file, name: replace(file, name, h5py.ExternalLink("/etc/passwd", "/a")),
    ),
    "weights that are no numbers": lambda parts, mark: with_weights(
        parts["model.weights.h5"],
        lambda file, name: replace(file, name, file[name][...] * np.nan),
    ),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "model.keras"
    saving.save(classifier(), path)
    return path


def write_parts(path, parts):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in parts.items():
            if data is not None:
                zipped.writestr(name, data)
    return path


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_model_file_with_something_else_in_it_is_told_and_runs_nothing(tmp_path, sound, change):
    mark = tmp_path / "mark"
    parts = parts_of(sound)
    path = write_parts(tmp_path / "model.keras", parts | change(parts, mark))
    with pytest.raises(
        PipelineError, match=r"model\.keras (is not a model that loads|has weights)"
    ):
        saving.load(path, (16, 16, 1), CLASSES)
    assert not mark.exists()


def test_a_pickle_under_the_name_of_a_model_is_not_opened(tmp_path):
    path, mark = tmp_path / "model.keras", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Opens(mark)))
    with pytest.raises(PipelineError, match="is not a model that loads"):
        saving.load(path, (16, 16, 1), CLASSES)
    assert not mark.exists()


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_foreign_weights_are_vetted_as_our_own_model_is(tmp_path, sound, change):
    """`train.weights` may name a file that somebody else has made."""
    mark, parts = tmp_path / "mark", parts_of(sound)
    path = write_parts(tmp_path / "foreign.keras", parts | change(parts, mark))
    try:
        build_model(train_params(weights=str(path), weights_sha256=digest(path)), 16, 1, classes=3)
    except PipelineError as error:
        assert "does not fit the backbone" in str(error)
    else:
        pytest.fail("it was loaded")
    assert not mark.exists()


def test_classes_in_another_order_are_refused_with_both_orders(tmp_path):
    path = tmp_path / "model.keras"
    saving.save(classifier(), path, CLASSES)
    saving.load(path, (16, 16, 1), CLASSES)
    with pytest.raises(
        PipelineError,
        match="has the classes anger, happy, sadness, the records have happy, anger, sadness in",
    ):
        saving.load(path, (16, 16, 1), ["happy", "anger", "sadness"])


def test_a_file_that_names_no_classes_is_checked_for_their_number(tmp_path):
    path = tmp_path / "model.keras"
    saving.save(classifier(), path)
    saving.load(path, (16, 16, 1), ["happy", "anger", "sadness"])


class Nested(keras.layers.Layer):
    """A layer whose sublayers lie in a list, or in a list of lists."""

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


def saved(tmp_path, *layers):
    """A model that Keras itself saved."""
    image = keras.Input((16, 16, 1))
    output = image
    for layer in layers:
        output = layer(output)
    keras.Model(image, output).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_lambda_is_not_called(tmp_path):
    mark = tmp_path / "mark"
    name = str(mark)

    def leave(image):
        open(name, "w").close()  # noqa: PTH123 - a Lambda keeps text, not a path
        return image

    path = saved(
        tmp_path,
        keras.layers.Lambda(lambda image: leave(image)),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
        keras.layers.Softmax(),
    )
    mark.unlink()  # building it has called it
    with pytest.raises(PipelineError, match="a layer Lambda may bring code or open files"):
        saving.load(path, (16, 16, 1), CLASSES)
    assert not mark.exists()


def test_a_network_of_another_kind_is_taken_where_it_tells_probabilities(tmp_path):
    logits = [keras.layers.Flatten(), keras.layers.Dense(3)]
    path = saved(tmp_path, *logits, keras.layers.Softmax())
    assert saving.predict(saving.load(path, (16, 16, 1), CLASSES), IMAGES, 5).shape == (5, 3)
    with pytest.raises(PipelineError, match="does not end in a softmax"):
        saving.load(saved(tmp_path, *logits), (16, 16, 1), CLASSES)


def test_random_damage_of_a_model_file_never_ends_in_anything_but_one_line(tmp_path, sound):
    """Every part of a zip has a checksum, so nothing of it can be read wrongly."""
    good = sound.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "model.keras"
    for turn in range(DAMAGED):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 5))):
            data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        path.write_bytes(data[: rng.integers(len(data))] if turn % 3 == 0 else data)
        with pytest.raises(PipelineError) as error:
            saving.load(path, (16, 16, 1), CLASSES)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("metadata", [b"x", b"[]", b"{}", None])
def test_names_of_outputs_that_a_file_does_not_tell_are_none(tmp_path, sound, metadata):
    path = write_parts(tmp_path / "m.keras", parts_of(sound) | {"metadata.json": metadata})
    assert saving.classes(path) == []
