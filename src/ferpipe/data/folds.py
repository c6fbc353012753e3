"""The folds of the cross-validation: in each fold of a seed other images are test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ferpipe.core import tables
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CV_FOLDS, CV_PREDICTIONS, SPLITS


def fold_columns(folds: int) -> list[str]:
    """The columns of the folds: the split of each image, "" if it is in no fold."""
    return [f"fold_{fold}" for fold in range(folds)]


def columns(folds: int) -> dict[str, str]:
    """The columns of a seed's table and their dtypes."""
    return dict.fromkeys(("path", "label", "subject", "sequence", *fold_columns(folds)), "str")


def count_folds(table: pd.DataFrame) -> int:
    """The number of folds of a seed's table."""
    return len(table.columns) - len(columns(0))


def folds_path(seed: int) -> Path:
    """The table of a seed's folds."""
    return CV_FOLDS / f"seed-{seed}.csv"


def read_folds(seed: int) -> pd.DataFrame:
    """Read the folds of a seed; raises PipelineError if `cv_folds` did not write the file."""
    path = folds_path(seed)
    header = path.read_bytes().partition(b"\n")[0] if path.exists() else b""
    table = tables.read_table(path, columns(header.count(b",fold_")))
    # val may be empty: test then selects the epoch too.
    splits = [set(table[name]) for name in fold_columns(count_folds(table))]
    if len(splits) < 2 or not all({"train", "test"} <= each <= {*SPLITS, ""} for each in splits):
        raise PipelineError(
            f"{path} is not what `cv_folds` writes; run `dvc repro --force cv/dvc.yaml`"
        )
    return table


def predictions_path(seed: int, fold: int) -> Path:
    """The predictions of a fold."""
    return CV_PREDICTIONS / f"seed-{seed}-fold-{fold}.csv"


def predictions_header(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a fold's predictions: split is val or test, `p_` a probability, 0..1."""
    return ("path", "split", "actual", "predicted", *(f"p_{name}" for name in classes))
