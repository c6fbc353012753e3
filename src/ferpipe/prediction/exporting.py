"""Exporting a model: as ONNX, LiteRT or SavedModel, with the same bytes every time.

All three come from one TensorFlow function, from `image` (raw pixels, any number of images) to
`probabilities`. Function names of a SavedModel count what TensorFlow has traced before in this
process, so only the first one that a process exports has the same bytes as another's.
"""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.core.muted import muted
from ferpipe.evaluation.card import Card
from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare, tf
from ferpipe.prediction.exported import INPUT, METADATA, OUTPUT
from ferpipe.prediction.portable import make_portable

# Not in int8: in HOG features and normalisations 8 bits cannot hold the range of their values.
FLOAT_OPS = (
    *("MUL", "SQUARE", "RSQRT", "SUM", "MEAN", "SUB", "SQUARED_DIFFERENCE", "MINIMUM", "MAXIMUM"),
    *("L2_NORMALIZATION", "GREATER", "SELECT_V2", "RELU"),
)


def load(path: Path) -> keras.Model:
    """Load a model file for export; it computes in float32, also if trained in mixed precision.

    Raises PipelineError if it is missing, damaged or not a classifier of images.
    """
    if not path.is_file():
        raise PipelineError(f"there is no model file {path}; `dvc repro` makes {paths.MODEL}")
    prepare()
    try:
        model = saving.load_vetted(path)
    except saving.UNREADABLE as error:
        raise PipelineError(f"{path} is not a model that loads: {one_line(error)}") from None
    shapes = [tuple(value.shape) for value in (*model.inputs, *model.outputs)]
    if [len(shape) for shape in shapes] != [4, 2] or None in (*shapes[0][1:], shapes[1][1]):
        raise PipelineError(f"{path} is not a classifier of images: it has the shapes {shapes}")
    for layer in model._flatten_layers():
        layer.dtype_policy = "float32"
    return model


def write(
    model: keras.Model,
    path: Path,
    form: str,
    dtype: str,
    classes: Sequence[str],
    calibration: np.ndarray | None = None,
    card: Card | None = None,
) -> None:
    """Write a model in another format.

    Args:
        model: what `load` returns; its layers are made portable.
        path: the new file, or folder of a SavedModel, in an empty folder.
        form: a key of `exported.ENDINGS`.
        dtype: of the images that the file takes, one of `exported.DTYPES`.
        classes: names of the outputs.
        calibration: uint8 (n, side, side, channels), on which the ranges of int8 values are
            measured; LiteRT only. None: weights and values stay float32.
        card: of the model file, for the file's metadata.
    """
    text = json.dumps(_metadata(model, dtype, classes, card), ensure_ascii=False, sort_keys=True)
    make_portable(model)
    # TensorFlow and its converters log to file descriptor 2, whatever the log level.
    with muted():
        if form == "onnx":
            from ferpipe.prediction import to_onnx  # imports packages of the extra `export`

            to_onnx.write(_function(model, dtype), path, text)
        elif form == "litert":
            _write_litert(model, path, dtype, text, calibration)
        else:
            _write_saved_model(model, path, dtype, text)


def _metadata(
    model: keras.Model, dtype: str, classes: Sequence[str], card: Card | None
) -> dict[str, Any]:
    """What the file says about itself."""
    image = {"dtype": dtype, "shape": ["n", *model.input_shape[1:]], "minimum": 0, "maximum": 255}
    about = {"classes": list(classes), "input": {"name": INPUT, **image}, "output": OUTPUT}
    # A file gives probabilities only, no features.
    unused = {"feature_distance"}
    return about | ({"card": card.model_dump(mode="json", exclude=unused)} if card else {})


def _function(model: keras.Model, dtype: str) -> tf.types.experimental.PolymorphicFunction:
    """The model as a TensorFlow function that takes images of one dtype."""
    image = tf.TensorSpec((None, *model.input_shape[1:]), dtype, name=INPUT)

    @tf.function(input_signature=[image], autograph=False)
    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: model(tf.cast(image, tf.float32), training=False)}

    return predict


def _write_saved_model(model: keras.Model, path: Path, dtype: str, text: str) -> None:
    module = tf.Module()
    # The plain variables: tracking the Keras model would save each twice.
    module.weights = [weight.value for weight in model.weights]
    signatures = {"serving_default": _function(model, dtype)}
    tf.saved_model.save(module, str(path), signatures=signatures)
    # Holds a random identifier, and nothing that loading needs.
    (path / "fingerprint.pb").unlink(missing_ok=True)
    # The folder that TensorFlow leaves to files of others.
    files.write_text(path / "assets.extra" / METADATA, text + "\n")


def _in_int8(converter: tf.lite.TFLiteConverter, calibration: np.ndarray) -> bytes:
    """Convert with weights and most values in 8 bits."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in calibration)
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(FLOAT_OPS))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=lambda: ([image[None]] for image in calibration[:1]),
            debug_options=options,
        )
        return debugger.get_nondebug_quantized_model()


def _write_litert(
    model: keras.Model, path: Path, dtype: str, text: str, calibration: np.ndarray | None
) -> None:
    folder = path.with_name("for_litert")
    _write_saved_model(model, folder, dtype, text)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    path.write_bytes(
        converter.convert() if calibration is None else _in_int8(converter, calibration)
    )
    shutil.rmtree(folder)
    # Readers of LiteRT ignore what follows the model; its metadata tools append a zip as well.
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(files.zip_entry(METADATA), text + "\n")
