"""Predicting with exported files, each in its own runtime and without Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.core.muted import muted
from ferpipe.evaluation import card

# Formats, and how the names of their files end; a SavedModel is a folder.
ENDINGS = {"onnx": ".onnx", "litert": ".tflite", "saved-model": "_saved_model"}
DTYPES = ("uint8", "float32")
INPUT, OUTPUT = "image", "probabilities"
METADATA = "metadata.json"
BATCH = 64

# From images (n, side, side, channels), of any dtype and 0..255, to float32 (n, classes).
Predict = Callable[[np.ndarray], np.ndarray]


def load(path: Path, form: str, threads: int = 1) -> Predict:
    """Load an exported file.

    Args:
        path: what `exporting.write` wrote.
        form: its format, a key of ENDINGS.
        threads: of onnxruntime and LiteRT; TensorFlow has those of the process.
    """
    with muted():  # LiteRT reports how it computes, onnxruntime that it may not bind its threads
        return _load(path, form, threads)


def _load(path: Path, form: str, threads: int) -> Predict:
    if form == "onnx":
        return _onnx(path, threads)
    return _litert(path, threads) if form == "litert" else _saved_model(path)


def form_of(path: Path) -> str | None:
    """The format of an exported file, None if it is none."""
    if path.is_dir():
        return "saved-model" if (path / "saved_model.pb").is_file() else None
    return {".onnx": "onnx", ".tflite": "litert"}.get(path.suffix.lower())


def load_with_card(path: Path, form: str, threads: int) -> tuple[Predict, card.Card]:
    """Load an exported file and the card of its model; see `load`.

    Raises:
        PipelineError: it is missing or damaged, its runtime is not installed, or it has no card.
    """
    if not path.exists():
        raise PipelineError(f"{path} is missing; run `ferpipe export`, which makes it")
    with muted():
        try:
            metadata, run = json.loads(_metadata(path, form)), _load(path, form, threads)
        except ModuleNotFoundError as error:
            fault = f'needs the package {error.name}: run `pip install ".[export]"`'
        except Exception as error:  # each runtime has its own
            fault = f"is not what `ferpipe export` writes: {one_line(error)}"
        else:
            fault = ""
    if fault:
        raise PipelineError(f"{path} {fault}")
    about = metadata.get("card") if isinstance(metadata, dict) else None
    return run, card.checked({card.KEY: about}, path)


def _metadata(path: Path, form: str) -> str | bytes:
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.get_modelmeta().custom_metadata_map[METADATA]
    if form == "litert":
        with zipfile.ZipFile(path) as zipped:
            return zipped.read(METADATA)
    return (path / "assets.extra" / METADATA).read_bytes()


def predict(path: Path, form: str, images: np.ndarray) -> np.ndarray:
    """Predict float32 (n, classes) in batches with an exported file, see `load`."""
    run = load(path, form)
    starts = range(0, len(images), BATCH)
    return np.concatenate([run(images[start : start + BATCH]) for start in starts])


def _onnx(path: Path, threads: int) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtype = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}[session.get_inputs()[0].type]
    return lambda images: session.run([OUTPUT], {INPUT: images.astype(dtype, copy=False)})[0]


def _litert(path: Path, threads: int) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    dtype = runner.get_input_details()[INPUT]["dtype"]
    return lambda images: runner(**{INPUT: images.astype(dtype, copy=False)})[OUTPUT]


def _saved_model(path: Path) -> Predict:
    from ferpipe.model.backend import tf

    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    dtype = function.structured_input_signature[1][INPUT].dtype
    return lambda images: function(**{INPUT: tf.cast(images, dtype)})[OUTPUT].numpy()
