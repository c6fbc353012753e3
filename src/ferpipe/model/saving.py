"""The model file: the same weights give the same bytes.

A `.keras` file is a zip of config.json, metadata.json and model.weights.h5. What Keras puts in
that differs from run to run (the date, zip times, memory addresses as `shared_object_id`) is
taken out; Keras loads the result like any other.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ferpipe.core import files
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.model.backend import keras

PARTS = ("config.json", "metadata.json", "model.weights.h5")
# Keras' own layers that hold code, or read files that their config names.
BRING_CODE = frozenset(
    {
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
        *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),
    }
)
# What a damaged file raises, in the zip, the JSON, the HDF5 file or Keras.
UNREADABLE = (
    *(ValueError, TypeError, KeyError, OSError, RuntimeError, EOFError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, struct.error, AttributeError, ImportError, UserWarning),
)
# How Keras warns of weights that a file lacks, which then stay random.
INCOMPLETE = r"A total of \d+ objects could not be loaded|Skipping (loading|nested)"


def save(model: keras.Model, path: Path, classes: Sequence[str] = ()) -> None:
    """Save a model byte-stably.

    Args:
        model: a functional model; its optimizer is not saved. Every layer should have a name that
            does not depend on what was built before (`keras.utils.clear_session` sees to that).
        path: the `.keras` file.
        classes: the names of its outputs, kept in the file's metadata.json.
    """
    # A model that was never compiled has no optimizer state and no compile config to save.
    bare = keras.Model(model.input, model.output, name=model.name)
    with files.scratch(path) as folder:
        raw = folder / "model.keras"
        bare.save(raw)
        with zipfile.ZipFile(raw) as zipped:
            parts = {name: zipped.read(name) for name in zipped.namelist()}
    for name in ("config.json", "metadata.json"):
        parts[name] = _stable_json(parts[name], classes if name == "metadata.json" else ())
    files.write_bytes(path, _stored_zip(parts))


@contextmanager
def complete_weights() -> Iterator[None]:
    """Let Keras' warning of weights that a file lacks be an error; other warnings pass.

    Raises:
        UserWarning: weights are missing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", INCOMPLETE, UserWarning)
        yield


def load_vetted(path: Path) -> keras.Model:
    """Load a `.keras` file, whoever made it; code in it is never executed.

    Args:
        path: the file.

    Raises:
        OSError, ValueError and the others in UNREADABLE: it is damaged, or holds what no model of
            this pipeline holds.
    """
    _check_parts(path)
    with complete_weights():
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    check_finite(model)
    return model


def check_finite(model: keras.Model) -> None:
    """Refuse weights that are no numbers.

    Raises:
        ValueError: there are some.
    """
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise ValueError("it has weights that are no numbers")


def load(path: Path, image_shape: tuple[int, ...], names: Sequence[str]) -> keras.Model:
    """Load a saved model for prediction.

    Args:
        path: the `.keras` file.
        image_shape: (side, side, channels) of the images that it should take.
        names: the classes that it should tell apart, in the order of its outputs. A file that Keras
            itself saved names none; then only their number is checked.

    Raises:
        PipelineError: the file is missing, is no model, or is one for other records.
    """
    if not path.is_file():
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it")
    try:
        model = load_vetted(path)
        inputs, outputs = model.input_shape, model.output_shape
    except UNREADABLE as error:
        raise PipelineError(f"{path} is not a model that loads: {one_line(error)}") from None
    found = (*inputs[1:], outputs[-1])
    if found != (*image_shape, len(names)):
        raise PipelineError(
            f"{path} takes images of {found[:-1]} and has {found[-1]} classes, the records have "
            f"{image_shape} and {len(names)}; run `dvc repro`"
        )
    if classes(path) not in ([], list(names)):
        raise PipelineError(
            f"{path} has the classes {', '.join(classes(path))}, the records have "
            f"{', '.join(names)} in this order; run `dvc repro`"
        )
    if not isinstance(model.layers[-1], keras.layers.Softmax):
        raise PipelineError(f"{path} does not end in a softmax; run `dvc repro`, which makes one")
    return model


def _check_parts(path: Path) -> None:
    """Refuse what is in no file of ours before Keras looks at it.

    Raises:
        ValueError: a part more or less, a layer that is not one of Keras' own, or one that may
            bring code or open files.
    """
    with zipfile.ZipFile(path) as zipped:
        if sorted(zipped.namelist()) != sorted(PARTS):
            raise ValueError(f"it should hold {', '.join(PARTS)}")
        waiting = [json.loads(zipped.read("config.json"))]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            module, name = value.get("module"), value.get("class_name")
            if module is not None and str(module).split(".")[0] != "keras":
                raise ValueError(f"{module}.{name} is not a part of Keras")
            if name in BRING_CODE:
                raise ValueError(f"a layer {name} may bring code or open files")
            value = list(value.values())
        if isinstance(value, list):
            waiting += value


def classes(path: Path) -> list[str]:
    """The names of a saved model's outputs; none where its file does not tell."""
    try:
        with zipfile.ZipFile(path) as zipped:
            return json.loads(zipped.read("metadata.json")).get("classes", [])
    except UNREADABLE:
        return []


def predict(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Predict in batches of one shape, so that the forward pass is compiled once.

    Args:
        model: images to (n, classes).
        images: uint8 (n, side, side, channels).
        batch_size: images at a time; the last batch is filled up and cut back.

    Returns:
        float32 (n, classes).
    """
    outputs = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        padded = np.resize(batch, (batch_size, *batch.shape[1:]))
        outputs.append(model.predict_on_batch(padded)[: len(batch)])
    return np.concatenate(outputs)


def _stable_json(data: bytes, classes: Sequence[str]) -> bytes:
    value = json.loads(data)
    if classes:
        value["classes"] = list(classes)
    value.pop("date_saved", None)
    _drop_addresses(value)
    return json.dumps(value, sort_keys=True).encode()


def _drop_addresses(value: Any) -> None:
    """Drop each `shared_object_id`; layers refer to each other by name and do not need it."""
    if isinstance(value, dict):
        value.pop("shared_object_id", None)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _drop_addresses(item)


def _stored_zip(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name in sorted(parts):
            zipped.writestr(files.zip_entry(name), parts[name])
    return buffer.getvalue()
