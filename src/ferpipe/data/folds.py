"""The folds of the cross-validation: in each of the ten folds of a seed other images are test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ferpipe.core import tables
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CV_FOLDS, CV_PREDICTIONS, SPLITS

FOLDS = 10
FACTS = ("path", "label", "subject", "sequence")
COLUMNS = dict.fromkeys((*FACTS, *(f"fold_{number}" for number in range(FOLDS))), "str")


@dataclass(frozen=True)
class FoldTable:
    """The folds of one seed: n images in the archive's order, as in split.csv."""

    paths: Sequence[str]
    labels: Sequence[str]
    subjects: Sequence[str]
    sequences: Sequence[str]
    splits: Sequence[Sequence[str]]  # (folds, n)


def folds_path(seed: int) -> Path:
    """The table of a seed's folds."""
    return CV_FOLDS / f"seed-{seed}.csv"


def write_folds(path: Path, table: FoldTable) -> None:
    """Write the folds of a seed."""
    columns = (table.paths, table.labels, table.subjects, table.sequences, *table.splits)
    tables.write_table(path, pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))


def read_folds(path: Path) -> FoldTable:
    """Read the folds of a seed; raises PipelineError if `cv_folds` did not write the file."""
    columns = tables.read_table(path, COLUMNS).to_dict("list")
    facts = [columns.pop(name) for name in FACTS]
    splits = list(columns.values())
    # val may be empty: test then selects the epoch too.
    if not all({"train", "test"} <= set(column) <= set(SPLITS) for column in splits):
        raise PipelineError(
            f"{path} is not what `cv_folds` writes; run `dvc repro --force cv/dvc.yaml`"
        )
    return FoldTable(*facts, splits)


def predictions_path(seed: int, fold: int) -> Path:
    """The predictions of a fold."""
    return CV_PREDICTIONS / f"seed-{seed}-fold-{fold}.csv"


def predictions_header(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a fold's predictions: split is val or test, `p_` a probability, 0..1."""
    return ("path", "split", "actual", "predicted", *(f"p_{name}" for name in classes))
