"""Saving and loading of model files: equal weights give equal bytes, and loading runs no code.

A `.keras` file is a zip of config.json, metadata.json and model.weights.h5. `save` removes what
Keras writes differently in each run: dates and memory addresses (`shared_object_id`). It also
removes what older versions of Keras refuse, so that every one from 3.8 on loads the file.
"""

from __future__ import annotations

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
from ferpipe.data.shards import Images
from ferpipe.model import devices
from ferpipe.model.backend import keras

PARTS = ("config.json", "metadata.json", "model.weights.h5")
# Layers of Keras that contain code, or that read files named in their config.
UNSAFE_LAYERS = (
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),
)
# Keys of a layer's config that Keras 3.8 refuses, with the values that mean that it is not used.
NEW = {
    "antialias": (False,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
}
# Raised for a damaged file by the zip, JSON or HDF5 reader or by Keras.
UNREADABLE = (
    *(ValueError, TypeError, KeyError, OSError, RuntimeError, EOFError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, struct.error, AttributeError, ImportError, UserWarning),
)
# Keras only warns of weights that are missing in a file and leaves them random.
INCOMPLETE = r"A total of \d+ objects could not be loaded|Skipping (loading|nested)"


def save(model: keras.Model, path: Path, classes: Sequence[str] = ()) -> None:
    """Save a functional model byte-stably, without its optimizer; class names into metadata.json.

    Call `backend.prepare` before building it: it resets the counters in layer names.
    """
    # A model that was never compiled has no optimizer state and no compile config to save.
    bare = keras.Model(model.input, model.output, name=model.name)
    with files.scratch(path) as folder:
        raw = folder / "model.keras"
        bare.save(raw)
        with zipfile.ZipFile(raw) as zipped:
            parts = {name: zipped.read(name) for name in sorted(zipped.namelist())}
    metadata = _without(parts["metadata.json"], "date_saved")
    if classes:
        metadata["classes"] = list(classes)
    parts["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
    # Layers refer to each other by name.
    config = _portable(_without(parts["config.json"], "shared_object_id"))
    parts["config.json"] = json.dumps(config, sort_keys=True).encode()
    with files.replacing(path) as file, zipfile.ZipFile(file, "w") as zipped:
        for name, data in parts.items():
            zipped.writestr(files.zip_entry(name), data)


def _without(text: bytes, key: str) -> dict[str, Any]:
    """Parse a JSON object, without a key at any depth."""
    return json.loads(
        text, object_hook=lambda item: {name: item[name] for name in item if name != key}
    )


def _portable(config: Any) -> Any:
    """The config without initializers, which a saved model never uses, and unused new features."""
    if isinstance(config, dict):
        return {
            key: _portable(value)
            for key, value in config.items()
            if not (key.endswith("_initializer") or (key in NEW and value in NEW[key]))
        }
    return list(map(_portable, config)) if isinstance(config, list) else config


@contextmanager
def complete_weights() -> Iterator[None]:
    """Raise Keras' warning of missing weights as a UserWarning; other warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", INCOMPLETE, UserWarning)
        yield


def load_vetted(path: Path) -> keras.Model:
    """Load a `.keras` file from any source without executing code in it.

    Raises one of UNREADABLE if it is damaged, or contains what no model of this pipeline has.
    """
    _check_parts(path)
    with complete_weights():
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    check_finite(model)
    return model


def _check_parts(path: Path) -> None:
    """Refuse unknown parts, layers from outside Keras and unsafe ones, before Keras loads them."""
    with zipfile.ZipFile(path) as zipped:
        if sorted(zipped.namelist()) != sorted(PARTS):
            raise ValueError(f"it should hold {', '.join(PARTS)}")
        json.loads(zipped.read("config.json"), object_hook=_check_object)


def _check_object(item: dict[str, Any]) -> dict[str, Any]:
    module, name = item.get("module"), item.get("class_name")
    if module is not None and str(module).split(".")[0] != "keras":
        raise ValueError(f"{module}.{name} is not a part of Keras")
    if name in UNSAFE_LAYERS:
        raise ValueError(f"a layer {name} may contain code or open files")
    return item


def check_finite(model: keras.Model) -> None:
    """Refuse weights that are infinite or not a number, with a ValueError."""
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise ValueError("it has weights that are not finite numbers")


def load(path: Path, image_shape: tuple[int, ...], names: Sequence[str]) -> keras.Model:
    """Load a saved model for prediction; raises PipelineError if it is not one for these records.

    These have an image shape (side, side, channels) and class names, in the order of the outputs. A
    file saved by Keras itself has no names, so only their number is checked.
    """
    if not path.is_file():
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it")
    try:
        model = load_vetted(path)
        shape = (*model.input_shape[1:], model.output_shape[-1])
    except UNREADABLE as error:
        raise PipelineError(f"{path} is not a model that loads: {one_line(error)}") from None
    expected = (*image_shape, len(names))
    if shape != expected or classes(path) not in ([], list(names)):
        raise PipelineError(
            f"{path} has image shape and outputs {shape} and the classes {classes(path)}, the "
            f"records have {expected} and {list(names)}; run `dvc repro`"
        )
    if not isinstance(model.layers[-1], keras.layers.Softmax):
        raise PipelineError(f"{path} does not end in a softmax; run `dvc repro`, which makes one")
    return model


def classes(path: Path) -> list[str]:
    """The class names in a model file; empty if it has none."""
    try:
        with zipfile.ZipFile(path) as zipped:
            return json.loads(zipped.read("metadata.json")).get("classes", [])
    except UNREADABLE:
        return []


def predict(model: keras.Model, images: Images, batch_size: int) -> np.ndarray:
    """Predict float32 (n, classes) for uint8 (n, side, side, channels).

    The last batch is padded: all have one shape, so Keras compiles only once.
    """
    outputs = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        padded = np.resize(batch, (batch_size, *batch.shape[1:]))
        outputs.append(devices.predict_on_batch(model, padded)[: len(batch)])
    return np.concatenate(outputs)
