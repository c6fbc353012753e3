"""The assignment of the images to the folds of the cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferpipe.core.paths import PARAMS
from ferpipe.data.folds import FOLDS, FoldTable
from ferpipe.params.reader import checked
from ferpipe.params.split import Split
from ferpipe.splitting.assign import assign

# Keys of the section `split` that the cross-validation replaces.
REPLACED = ("seed", "test_size", "folds", "fold")


def assign_folds(
    paths: Sequence[str], params: Split, seed: int, repeats: Mapping[str, str] | None = None
) -> FoldTable:
    """Assign the images to the folds of one seed; see `assign`, also for what it raises."""
    splits = []
    for fold in range(FOLDS):
        values = params.model_dump() | {"seed": seed, "folds": FOLDS, "fold": fold}
        section = checked(values, Split, PARAMS, prefix="split")
        table = assign(paths, section, repeats)
        splits.append(table["split"].tolist())
    facts = (table[name].tolist() for name in ("path", "label", "subject", "sequence"))
    return FoldTable(*facts, splits)
