"""Predictions as rows of a table, and faces as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ferpipe.core import files, tables
from ferpipe.prediction.predictor import Prediction
from ferpipe.prediction.videos import Frame

BOX = ("left", "top", "right", "bottom")


def columns(classes: Sequence[str]) -> list[str]:
    """The columns of the table, in their order."""
    return [
        "path",
        "frame",
        "seconds",
        "face",
        *BOX,
        "confidence",
        "label",
        "distance",
        *(f"p_{name}" for name in classes),
    ]


def rows(
    path: str, predictions: Sequence[Prediction], frame: Frame | None = None
) -> Iterator[list[object]]:
    """A row for each face; one row with face 0 for a picture or frame that has none."""
    when = [frame.number, round(frame.seconds, 3)] if frame else [None, None]
    for number, prediction in enumerate(predictions, start=1):
        face = prediction.face
        box = [round(value, 1) for value in face.box] if face else [None] * 4
        confidence = round(face.confidence, 4) if face else None
        label, distance = prediction.label, prediction.distance
        distance = None if distance is None else round(distance, 4)
        probabilities = [round(float(value), 6) for value in prediction.probabilities]
        yield [path, *when, number, *box, confidence, label, distance, *probabilities]
    if not predictions:
        yield [path, *when, 0]


def write_csv(path: Path, classes: Sequence[str], table: Sequence[Sequence[object]]) -> None:
    """Write the rows as CSV; what a picture without a face does not have is empty."""
    names = columns(classes)
    tables.write_table(path, pd.DataFrame(_padded(table, names), columns=names, dtype=object))


def write_json(path: Path, classes: Sequence[str], table: Sequence[Sequence[object]]) -> None:
    """Write the rows as a JSON array of objects; null is what a picture without a face lacks."""
    names = columns(classes)
    objects = [dict(zip(names, row, strict=True)) for row in _padded(table, names)]
    files.write_text(path, json.dumps(objects, indent=1, ensure_ascii=False) + "\n")


def _padded(table: Sequence[Sequence[object]], names: Sequence[str]) -> list[list[object]]:
    """The rows with None for what is missing at their end."""
    return [[*row, *[None] * (len(names) - len(row))] for row in table]
