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
    """Assign the images to the folds of one seed.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`; the keys in `REPLACED` are replaced.
        seed: one of cv.seeds.
        repeats: the images that repeat an earlier one, as `near_duplicates.repeats` gives them.

    Raises:
        PipelineError: see `assign`.
    """
    folds = []
    for fold in range(FOLDS):
        values = params.model_dump() | {"seed": seed, "folds": FOLDS, "fold": fold}
        each = checked(values, Split, PARAMS, prefix="split")
        folds.append(assign(paths, each, repeats))
    return FoldTable(
        paths=[row.path for row in folds[0]],
        labels=[row.label for row in folds[0]],
        subjects=[row.subject for row in folds[0]],
        sequences=[row.sequence for row in folds[0]],
        splits=[[row.split for row in rows] for rows in folds],
    )
