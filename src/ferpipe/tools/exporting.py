"""Export of the model to another format, compared with Keras before it is kept."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import records
from ferpipe.prediction import exported

# Largest difference of a probability from Keras'; those of docs/use.md are below 1e-5.
TOLERANCE = 1e-4
# Images that are compared at most, of noise without records, and that int8 is calibrated on.
COMPARED, NOISE, CALIBRATION = 1000, 64, 256
# What a format needs besides TensorFlow: packages of the extra `export`.
PACKAGES = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
QUANTIZATIONS = ("int8",)


def export(
    source: Path, form: str, output: Path | None, dtype: str, quantize: str | None
) -> Iterator[str]:
    """Export a model and yield what a user should know of the new file.

    Args:
        source: a model file of this pipeline.
        form: a key of `exported.ENDINGS`.
        output: the new file or folder; None: beside the model, with its name.
        dtype: of the images that the file takes, one of `exported.DTYPES`.
        quantize: int8 (LiteRT only) or None.

    Raises:
        PipelineError: an option, the model or the records do not serve, or the new file predicts
            otherwise than Keras. Then nothing is written.
    """
    _check_options(form, dtype, quantize)
    target = output or source.with_name(source.stem + exported.ENDINGS[form])
    _check_target(target, source, form)
    from ferpipe.evaluation.card import find_card
    from ferpipe.model import saving  # imports Keras
    from ferpipe.prediction import exporting

    model, classes = exporting.load(source), saving.classes(source)
    schema = _fitting_records(model.input_shape[1:], classes, model.output_shape[-1])
    images, kind = _images(schema, model.input_shape[1:])
    calibration = _calibration(schema, source) if quantize else None
    before = saving.predict(model, images, exported.BATCH)
    with files.scratch(target) as folder:
        draft = folder / target.name
        exporting.write(model, draft, form, dtype, classes, calibration, find_card(source))
        run = exported.load(draft, form)
        difference = float(np.abs(exported.predict(run, images) - before).max())
        if not quantize and not difference <= TOLERANCE:  # also if it is not a number
            raise PipelineError(
                f"{form} differs from Keras by {difference:.1e} on {kind}, more than "
                f"{TOLERANCE:.0e}; {target} is not written"
            )
        accuracy = _accuracy(schema, model, run) if quantize else None
        if target.is_dir():
            shutil.rmtree(target)
        draft.replace(target)
    yield f"{target} written: {_megabytes(target):.1f} MB"
    shape = f"(n, {', '.join(map(str, model.input_shape[1:]))})"
    yield f"input `{exported.INPUT}`: {dtype} {shape}, values 0 to 255"
    yield f"output `{exported.OUTPUT}`: float32 (n, {model.output_shape[-1]})"
    yield f"classes: {', '.join(classes)}" if classes else f"WARNING: {source} has no class names"
    yield f"largest difference from Keras, on {kind}: {difference:.1e}"
    if accuracy:
        yield accuracy


def _check_options(form: str, dtype: str, quantize: str | None) -> None:
    for option, value, allowed in (
        ("format", form, exported.ENDINGS),
        ("dtype", dtype, exported.DTYPES),
        ("quantize", quantize, (None, *QUANTIZATIONS)),
    ):
        if value not in allowed:
            choices = ", ".join(choice for choice in allowed if choice)
            raise PipelineError(f"--{option} {value}: should be one of {choices}")
    if quantize and form != "litert":
        raise PipelineError(f"--quantize {quantize} is for --format litert")
    missing = [name for name in PACKAGES.get(form, ()) if not importlib.util.find_spec(name)]
    if missing:
        raise PipelineError(
            f'--format {form} needs {", ".join(missing)}: run `pip install ".[export]"`'
        )


def _check_target(target: Path, source: Path, form: str) -> None:
    """Refuse a target whose replacement would be a loss, or that has no folder."""
    if form == "saved-model":
        if target.exists() and not (target / "saved_model.pb").is_file():
            raise PipelineError(f"{target} exists and is no SavedModel: choose another --output")
    elif target.is_dir():
        raise PipelineError(f"{target} is a folder: give --output the name of a file")
    elif target.exists() and source.exists() and target.samefile(source):
        raise PipelineError(f"{target} is the model itself: choose another --output")
    folder = next(path for path in target.absolute().parents if path.exists())
    if not folder.is_dir():
        raise PipelineError(f"{target} cannot be written: {folder} is not a folder")


def _fitting_records(
    shape: tuple[int, ...], classes: list[str], outputs: int
) -> records.Schema | None:
    """The schema of the records, if the model was made for such images and classes."""
    if not (paths.RECORDS / records.SCHEMA).exists():
        return None
    schema = records.read_schema(paths.RECORDS)
    same = (schema.image_size, schema.image_size, schema.channels) == shape
    return schema if same and (classes or schema.classes) == schema.classes[:outputs] else None


def _images(schema: records.Schema | None, shape: tuple[int, ...]) -> tuple[np.ndarray, str]:
    """The images on which the new file is compared with Keras, and what they are."""
    if schema and schema.images["test"]:
        images = records.read_split(paths.RECORDS, schema, "test").images[:COMPARED]
        return images, f"{len(images)} test images"
    noise = np.random.default_rng(0).integers(0, 256, (NOISE, *shape), np.uint8)
    return noise, f"{NOISE} images of noise"


def _calibration(schema: records.Schema | None, source: Path) -> np.ndarray:
    if schema is None:
        raise PipelineError(
            f"--quantize needs the images that {source} was trained on, and {paths.RECORDS} has "
            "none of its size and classes; run `dvc repro`"
        )
    images = records.read_split(paths.RECORDS, schema, "train").images
    return images[np.random.default_rng(0).permutation(len(images))[:CALIBRATION]]


def _accuracy(schema: records.Schema, model: object, run: exported.Predict) -> str:
    """The accuracy before and after, on the split that also selects the epoch."""
    from ferpipe.model import saving

    data = records.read_split(paths.RECORDS, schema, schema.selected_on)
    before, after = (
        np.mean(probabilities.argmax(axis=1) == data.labels)
        for probabilities in (
            saving.predict(model, data.images, exported.BATCH),
            exported.predict(run, data.images),
        )
    )
    return (
        f"accuracy on {len(data.images)} {schema.selected_on} images: {before:.4f} -> {after:.4f}"
    )


def _megabytes(path: Path) -> float:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file()) / 1e6
