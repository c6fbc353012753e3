"""Assigning the images to the folds of the cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferpipe.core.paths import PARAMS
from ferpipe.data.folds import FOLDS, FoldTable
from ferpipe.params.reader import checked
from ferpipe.params.split import Split
from ferpipe.splitting.assign import assign

# Keys of the section `split` that the cross-validation replaces or does not use.
REPLACED = ("seed", "test_size", "folds", "fold")


def assign_folds(
    paths: Sequence[str], params: Split, seed: int, repeats: Mapping[str, str] | None = None
) -> FoldTable:
    """Assign the images to the folds of one seed; arguments and errors as of `assign`."""
    tables = []
    for fold in range(FOLDS):
        values = params.model_dump() | {"seed": seed, "folds": FOLDS, "fold": fold}
        tables.append(assign(paths, checked(values, Split, PARAMS, prefix="split"), repeats))
    facts = tables[0][["path", "label", "subject", "sequence"]].to_dict("list").values()
    return FoldTable(*facts, [table["split"].tolist() for table in tables])
