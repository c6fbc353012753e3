"""Assigning the images to the folds of the cross-validation."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import PARAMS, SPLIT_COLUMNS
from ferpipe.data.folds import fold_columns
from ferpipe.params.reader import checked
from ferpipe.params.split import Split
from ferpipe.splitting.assign import check_every_class, fold_of_each, hold_out
from ferpipe.splitting.given import Given

# Keys of the section `split` that the cross-validation replaces or does not use.
REPLACED = ("seed", "test_size", "folds", "fold")


def assign_folds(
    images: pd.DataFrame,
    params: Split,
    seed: int,
    folds: int,
    repeats: Mapping[str, str] | None = None,
    given: Given | None = None,
) -> pd.DataFrame:
    """Assign the images to the folds of one seed.

    Given folds are the folds of every seed. Of given parts, test is in no fold: its images have ""
    in all columns. Other arguments are those of `assign`.

    Returns:
        The columns `folds.columns`, one row per image in the order of `images`.

    Raises:
        PipelineError: as of `assign`, or `folds` is not the given number.
    """
    if given and given.folds not in (None, folds):
        raise PipelineError(
            f"cv.folds has {folds} folds, but {given.assigned.path} (split.assigned) has "
            f"{given.folds}; set cv.folds to {list(range(given.folds))}"
        )
    values = params.model_dump() | {"seed": seed, "folds": folds, "fold": 0, "official": "ignore"}
    params = checked(values, Split, PARAMS, prefix="split")
    repeats, inside = repeats or {}, images
    if given and given.folds is None:
        inside, given = images[given.values != "test"], None
    fold_of = fold_of_each(inside, params, repeats, given)
    table = images[list(SPLIT_COLUMNS)[:-1]].copy()
    for fold, name in enumerate(fold_columns(folds)):
        val = params.val_size / (1 - 1 / folds)
        splits = hold_out(inside, fold_of == fold, val, params, repeats)
        check_every_class(inside.assign(split=splits), params, given)
        table[name] = splits.reindex(images.index, fill_value="")
    return table
