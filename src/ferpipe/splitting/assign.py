"""Assigning every image to train, val or test."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLIT_COLUMNS, SPLITS
from ferpipe.params.split import Split
from ferpipe.splitting import stratify


def assign(
    paths: Sequence[str], params: Split, repeats: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Assign every image to train, val or test.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`.
        repeats: `near_duplicates.repeats`; a repeat gets the split of its first image.

    Returns:
        The columns of split.csv, one row per image in the order of `paths`.

    Raises:
        PipelineError: a file name lacks its group, or a class has too few images or groups.
    """
    names = [(path, path.split("/")[0], *_subject_and_sequence(path, params)) for path in paths]
    table = pd.DataFrame(names, columns=list(SPLIT_COLUMNS)[:-1], dtype="str")
    groups = table["path" if params.group_by == "none" else params.group_by]
    unnamed = table["path"][groups == ""]
    if len(unnamed):
        raise PipelineError(
            f"split.group_by = {params.group_by!r}, but {len(unnamed)} of {len(paths)} file names "
            f"have no {params.group_by}, such as {unnamed.iloc[0]}; change split.name_pattern, or "
            "set split.group_by to 'none'"
        )
    table["group"] = stratify.join_repeats(groups, paths, repeats or {})
    _check_enough(table, params)
    if params.folds is None:
        train = 1 - params.test_size - params.val_size
        shares = {"train": train, "val": params.val_size, "test": params.test_size}
        table["split"] = _assign_parts(table, shares, params)
    else:
        folds = dict.fromkeys(range(params.folds), 1 / params.folds)
        rest = table[np.array(_assign_parts(table, folds, params)) != params.fold]
        val = params.val_size / (1 - 1 / params.folds)
        table["split"] = "test"
        table.loc[rest.index, "split"] = _assign_parts(rest, {"train": 1 - val, "val": val}, params)
    _check_every_class(table, params)
    return table.drop(columns="group")


def count_images(table: pd.DataFrame) -> pd.DataFrame:
    """Count the images of each class and split, as in split_counts.csv."""
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=SPLITS, fill_value=0)
    return counts.stack().rename_axis(["class", "split"]).reset_index(name="images")


def _subject_and_sequence(path: str, params: Split) -> tuple[str, str]:
    """Subject and sequence in a file name, "" where it has none."""
    match = re.match(params.name_pattern, path.split("/", 1)[1])
    groups = match.groupdict(default="") if match else {}
    return groups.get("subject", ""), groups.get("sequence", "")


def _assign_parts(
    table: pd.DataFrame, shares: Mapping[Hashable, float], params: Split
) -> list[Hashable]:
    """Stratified assignment of the groups to parts; a part whose share is 0 stays empty."""
    shares = {part: share for part, share in shares.items() if share > 0}
    parts, fractions = list(shares), list(shares.values())
    if params.group_by == "none":
        images = table.drop_duplicates("group")  # repeats follow the first image
        indices = stratify.assign_images(images["label"], fractions, params.seed)
        index_of = dict(zip(images["group"], indices, strict=True))
        return [parts[index_of[group]] for group in table["group"]]
    indices = stratify.assign_groups(table["label"], table["group"], fractions, params.seed)
    return [parts[index] for index in indices]


def _check_enough(table: pd.DataFrame, params: Split) -> None:
    """Raise if a class has fewer images or groups than there are parts."""
    unit = "images" if params.group_by == "none" else f"{params.group_by}s"
    needed = (params.folds or 2) + (params.val_size > 0)
    purpose = f"{params.folds} folds" if params.folds else "a test share"
    purpose += " and a val share" if params.val_size > 0 else ""
    for label, count in table.groupby("label")["group"].nunique().items():
        if count < needed:
            raise PipelineError(
                f"class {label} has {count} {unit}, {needed} or more are needed for {purpose}; "
                "add images, or lower split.folds or split.val_size"
            )


def _check_every_class(table: pd.DataFrame, params: Split) -> None:
    """Raise if a split lacks a class."""
    for label, split, count in count_images(table).itertuples(index=False):
        if count == 0 and (split != "val" or params.val_size > 0):
            total = (table["label"] == label).sum()
            raise PipelineError(
                f"{split} has no image of class {label} ({total} images); try another split.seed, "
                "or larger split.test_size and split.val_size"
            )
