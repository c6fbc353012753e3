"""The folds of the cross-validation: who is in which, and where a fold's predictions lie.

Each seed assigns the images to ten folds. Each fold is test once, so a seed predicts every image
exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CV_FOLDS, CV_PREDICTIONS, SPLITS

FOLDS = 10
COLUMNS = tuple(f"fold_{number}" for number in range(FOLDS))
HEADER = ("path", "label", "subject", "sequence", *COLUMNS)


@dataclass(frozen=True)
class FoldTable:
    """A seed's folds, one row an image, in the archive's order.

    Args:
        paths: `<label>/<file>` of each image (n).
        labels: its class.
        subjects: whom it shows; empty where its name does not tell.
        sequences: the recording that it is from; empty where its name does not tell.
        splits: (folds, n), "train", "val" or "test".
    """

    paths: Sequence[str]
    labels: Sequence[str]
    subjects: Sequence[str]
    sequences: Sequence[str]
    splits: Sequence[Sequence[str]]


def folds_path(seed: int) -> Path:
    """The table of a seed's folds."""
    return CV_FOLDS / f"seed-{seed}.csv"


def write_folds(path: Path, table: FoldTable) -> None:
    """Write a seed's folds."""
    columns = (table.paths, table.labels, table.subjects, table.sequences, *table.splits)
    files.write_csv(path, HEADER, zip(*columns, strict=True))


def read_folds(path: Path) -> FoldTable:
    """Read a seed's folds.

    Raises:
        PipelineError: the file is missing, or not what `cv_folds` writes.
    """
    rows = files.read_csv(path, HEADER)
    splits = [[row[column] for row in rows] for column in COLUMNS]
    # Without val, test also chooses.
    if not all({"train", "test"} <= set(column) <= set(SPLITS) for column in splits):
        raise PipelineError(
            f"{path} is not what `cv_folds` writes; run `dvc repro --force cv/dvc.yaml`"
        )
    paths, labels, subjects, sequences = ([row[key] for row in rows] for key in HEADER[:4])
    return FoldTable(paths, labels, subjects, sequences, splits)


def predictions_path(seed: int, fold: int) -> Path:
    """The predictions of a fold."""
    return CV_PREDICTIONS / f"seed-{seed}-fold-{fold}.csv"


def predictions_header(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a fold's predictions: split is val or test, `p_` a probability, 0..1."""
    return ("path", "split", "actual", "predicted", *(f"p_{name}" for name in classes))
