"""The folds of the cross-validation: in each of the ten folds of a seed other images are test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ferpipe.core import tables
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CV_FOLDS, CV_PREDICTIONS, SPLITS

FOLDS = 10
# A fold's column has the split of each image in it.
FOLD_COLUMNS = [f"fold_{fold}" for fold in range(FOLDS)]
COLUMNS = dict.fromkeys(("path", "label", "subject", "sequence", *FOLD_COLUMNS), "str")


def folds_path(seed: int) -> Path:
    """The table of a seed's folds."""
    return CV_FOLDS / f"seed-{seed}.csv"


def read_folds(seed: int) -> pd.DataFrame:
    """Read the folds of a seed; raises PipelineError if `cv_folds` did not write the file."""
    table = tables.read_table(folds_path(seed), COLUMNS)
    # val may be empty: test then selects the epoch too.
    if not all({"train", "test"} <= set(table[name]) <= set(SPLITS) for name in FOLD_COLUMNS):
        raise PipelineError(
            f"{folds_path(seed)} is not what `cv_folds` writes; run `dvc repro --force cv/dvc.yaml`"
        )
    return table


def predictions_path(seed: int, fold: int) -> Path:
    """The predictions of a fold."""
    return CV_PREDICTIONS / f"seed-{seed}-fold-{fold}.csv"


def predictions_header(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a fold's predictions: split is val or test, `p_` a probability, 0..1."""
    return ("path", "split", "actual", "predicted", *(f"p_{name}" for name in classes))
