"""Assigning the images to the folds of the cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ferpipe.core.paths import PARAMS
from ferpipe.data.folds import FOLD_COLUMNS, FOLDS
from ferpipe.params.reader import checked
from ferpipe.params.split import Split
from ferpipe.splitting.assign import assign

# Keys of the section `split` that the cross-validation replaces or does not use.
REPLACED = ("seed", "test_size", "folds", "fold")


def assign_folds(
    paths: Sequence[str], params: Split, seed: int, repeats: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Assign the images to the folds of one seed; arguments and errors as of `assign`."""
    splits = {}
    for fold, name in enumerate(FOLD_COLUMNS):
        values = params.model_dump() | {"seed": seed, "folds": FOLDS, "fold": fold}
        table = assign(paths, checked(values, Split, PARAMS, prefix="split"), repeats)
        splits[name] = table["split"]
    return table.drop(columns="split").assign(**splits)
