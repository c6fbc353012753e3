"""Predicting with exported files, each in its own runtime and without Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ferpipe.core.muted import muted

# Formats, and how the names of their files end; a SavedModel is a folder.
ENDINGS = {"onnx": ".onnx", "litert": ".tflite", "saved-model": "_saved_model"}
DTYPES = ("uint8", "float32")
INPUT, OUTPUT = "image", "probabilities"
METADATA = "ferpipe.json"
BATCH = 64


def predict(path: Path, form: str, images: np.ndarray, threads: int = 1) -> np.ndarray:
    """Predict float32 (n, classes) for images (n, side, side, channels) of any dtype, 0..255.

    Args:
        path: what `exporting.write` wrote.
        form: its format, a key of ENDINGS.
        images: raw images of the model's size.
        threads: of onnxruntime and LiteRT.
    """
    with muted():  # LiteRT reports how it computes, onnxruntime that it may not bind its threads
        run, dtype = READERS[form](path, threads)
        batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        return np.concatenate([run(batch.astype(dtype)) for batch in batches])


Run = Callable[[np.ndarray], np.ndarray]


def _onnx(path: Path, threads: int) -> tuple[Run, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtype = session.get_inputs()[0].type  # such as tensor(uint8)
    return (
        lambda batch: session.run([OUTPUT], {INPUT: batch})[0],
        {"tensor(uint8)": "uint8", "tensor(float)": "float32"}[dtype],
    )


def _litert(path: Path, threads: int) -> tuple[Run, str]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path), num_threads=threads).get_signature_runner()
    dtype = runner.get_input_details()[INPUT]["dtype"]
    return lambda batch: runner(**{INPUT: batch})[OUTPUT], dtype


def _saved_model(path: Path, threads: int) -> tuple[Run, str]:
    del threads  # TensorFlow's are those of the process
    from ferpipe.model.backend import tf

    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    (image,) = function.structured_input_signature[1].values()
    return (
        lambda batch: function(**{INPUT: tf.constant(batch)})[OUTPUT].numpy(),
        image.dtype.as_numpy_dtype,
    )


READERS = {"onnx": _onnx, "litert": _litert, "saved-model": _saved_model}
