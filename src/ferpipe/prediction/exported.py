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
        return LOADERS[form](path, threads)[0]


def form_of(path: Path) -> str | None:
    """The format of an exported file, None if it is none."""
    if path.is_dir():
        return "saved-model" if (path / "saved_model.pb").is_file() else None
    return {ending: form for form, ending in ENDINGS.items()}.get(path.suffix.lower())


def load_with_card(path: Path, form: str, threads: int) -> tuple[Predict, card.Card]:
    """Load an exported file and the card of its model; see `load`.

    Raises:
        PipelineError: it is missing or damaged, its runtime is not installed, or it has no card.
    """
    if not path.exists():
        raise PipelineError(f"{path} is missing; run `ferpipe export`, which makes it")
    with muted():
        try:
            run, metadata = LOADERS[form](path, threads)
            metadata = json.loads(metadata)
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


def predict(run: Predict, images: np.ndarray) -> np.ndarray:
    """Predict float32 (n, classes) in batches, with what `load` gives."""
    starts = range(0, len(images), BATCH)
    return np.concatenate([run(images[start : start + BATCH]) for start in starts])


def _onnx(path: Path, threads: int) -> tuple[Predict, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtype = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}[session.get_inputs()[0].type]
    return (
        lambda images: session.run([OUTPUT], {INPUT: images.astype(dtype, copy=False)})[0],
        session.get_modelmeta().custom_metadata_map[METADATA],
    )


def _litert(path: Path, threads: int) -> tuple[Predict, bytes]:
    from ai_edge_litert.interpreter import Interpreter

    with zipfile.ZipFile(path) as zipped:
        metadata = zipped.read(METADATA)
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    dtype = runner.get_input_details()[INPUT]["dtype"]
    return lambda images: runner(**{INPUT: images.astype(dtype, copy=False)})[OUTPUT], metadata


def _saved_model(path: Path, _: int) -> tuple[Predict, bytes]:
    from ferpipe.model.backend import tf

    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    dtype = function.structured_input_signature[1][INPUT].dtype
    return (
        lambda images: function(**{INPUT: tf.cast(images, dtype)})[OUTPUT].numpy(),
        (path / "assets.extra" / METADATA).read_bytes(),
    )


# What loads each format: from path and threads to what predicts, and the metadata as JSON.
LOADERS = {"onnx": _onnx, "litert": _litert, "saved-model": _saved_model}
