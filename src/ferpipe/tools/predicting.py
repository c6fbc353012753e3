"""`ferpipe predict`: the expressions of the faces in pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tabulate import tabulate
from tqdm import tqdm

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.evaluation import gradcam
from ferpipe.prediction import annotate, inputs, outputs
from ferpipe.prediction.predictor import Prediction, Predictor, opened
from ferpipe.report.text import MISUSE
from ferpipe.sources.intake.distinct import free_path

CAUTION = f"Caution: {MISUSE[2]}"


def run(args: argparse.Namespace) -> None:
    """Predict, print a table, and write the files that were asked for.

    Raises:
        PipelineError: a picture could not be used; the others are done.
    """
    if args.explain and not args.annotate:
        raise PipelineError("--explain needs --annotate FOLDER, where it writes its pictures")
    predictor = Predictor.load(
        args.model,
        cropped=args.cropped,
        threshold=args.threshold,
        minimum_size=args.min_size,
        confidence=args.min_confidence,
    )
    paths = list(inputs.pictures(args.paths))
    classes = predictor.card.classes
    table, faults, taken = [], [], set()
    progress = tqdm(predictor.stream(paths), "pictures", len(paths), disable=None, leave=False)
    for path, result in progress:
        if isinstance(result, PipelineError):
            faults.append(result)
            progress.write(f"ferpipe: {result}", file=sys.stderr)
            continue
        table += outputs.rows(str(path), result)
        if args.annotate:
            _annotate(predictor, path, result, args, taken)
    if args.csv:
        outputs.write_csv(args.csv, classes, table)
    if args.json:
        outputs.write_json(args.json, classes, table)
    if table:
        print(_shown(table, classes))
    print(f"model: {predictor.card.headline}\n{CAUTION}", file=sys.stderr)
    if faults:
        raise PipelineError(f"{len(faults)} of {len(paths)} pictures could not be used, see above")


def _shown(table: Sequence[Sequence[object]], classes: Sequence[str]) -> str:
    """The table on the terminal: of each face its class and the most probable classes."""
    shown = []
    for path, number, *rest in table:
        if not rest:
            shown.append([path, "", "no face found", ""])
            continue
        probabilities = rest[-len(classes) :]
        order = sorted(range(len(classes)), key=lambda index: -probabilities[index])[:2]
        most = ", ".join(f"{classes[index]} {probabilities[index]:.0%}" for index in order)
        shown.append([path, number, rest[5], most])
    return tabulate(
        shown, ["picture", "face", "expression", "probabilities"], disable_numparse=True
    )


def _annotate(
    predictor: Predictor,
    path: Path,
    predictions: Sequence[Prediction],
    args: argparse.Namespace,
    taken: set[str],
) -> None:
    """Write the annotated picture, and with --explain each face with its heat map."""
    classes = predictor.card.classes
    name = Path(free_path(f"{path.stem}.png", taken))
    _write(args.annotate / name, annotate.annotated(opened(path), predictions, classes))
    if not (args.explain and predictions):
        return
    faces = np.stack([prediction.image for prediction in predictions])
    heat = gradcam.heat_maps(
        predictor.model, faces, np.array([prediction.index for prediction in predictions])
    )
    for number, (prediction, map_) in enumerate(zip(predictions, heat, strict=True), start=1):
        face_name = free_path(f"{name.stem}-face{number}.png", taken)
        _write(args.annotate / face_name, annotate.explained(prediction, map_))


def _write(path: Path, image: Image.Image) -> None:
    with files.replacing(path) as file:
        image.save(file, format="PNG")
