"""Assigning every image to train, val or test."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLIT_COLUMNS, SPLITS
from ferpipe.params.split import Split
from ferpipe.splitting import stratify
from ferpipe.splitting.given import Given
from ferpipe.splitting.subjects import examples, groups_of


def assign(
    images: pd.DataFrame,
    params: Split,
    repeats: Mapping[str, str] | None = None,
    given: Given | None = None,
) -> pd.DataFrame:
    """Assign every image to train, val or test.

    Args:
        images: as of `subjects.name_images`.
        params: the section `split`.
        repeats: `near_duplicates.repeats`; a repeat gets the split of its first image, unless the
            given split separates them.
        given: the split that others made, if any; val is taken from its train if it has none.

    Returns:
        The columns of split.csv, one row per image in the order of `images`.

    Raises:
        PipelineError: an image lacks its group, a class has too few images or groups, train has
            none of a class, or `params.folds` is not the given number.
    """
    repeats = repeats or {}
    if given:
        _check_folds(params, given)
    if given and given.folds is None:
        splits = given.values
        if "val" not in set(splits):
            splits = hold_out(images, splits == "test", params.val_size, params, repeats)
    elif given or params.folds:
        folds = given.folds if given else params.folds
        test = fold_of_each(images, params, repeats, given) == params.fold
        splits = hold_out(images, test, params.val_size / (1 - 1 / folds), params, repeats)
    else:
        train = 1 - params.test_size - params.val_size
        shares = {"train": train, "val": params.val_size, "test": params.test_size}
        splits = _assign_parts(_grouped(images, params, repeats), shares, params)
    table = images.assign(split=splits)[list(SPLIT_COLUMNS)]
    check_every_class(table, params, given)
    return table


def fold_of_each(
    images: pd.DataFrame, params: Split, repeats: Mapping[str, str], given: Given | None = None
) -> pd.Series:
    """The fold of each image, from 0: the given one, or one of `params.folds`."""
    if given:
        return given.values
    folds = dict.fromkeys(range(params.folds), 1 / params.folds)
    return _assign_parts(_grouped(images, params, repeats), folds, params)


def hold_out(
    images: pd.DataFrame, test: pd.Series, val: float, params: Split, repeats: Mapping[str, str]
) -> pd.Series:
    """The split of each image: test where `test` is true, and of the others a fraction `val`."""
    splits = pd.Series("test", index=images.index)
    if val == 0:
        return splits.where(test, "train")
    rest = _grouped(images[~test], params, repeats, few=False)
    splits[rest.index] = _assign_parts(rest, {"train": 1 - val, "val": val}, params)
    return splits


def count_images(table: pd.DataFrame) -> pd.DataFrame:
    """Count the images of each class and split, as in split_counts.csv."""
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=SPLITS, fill_value=0)
    return counts.stack().rename_axis(["class", "split"]).reset_index(name="images")


def check_every_class(table: pd.DataFrame, params: Split, given: Given | None = None) -> None:
    """Raise if a split lacks a class; of a given split, such as one person's, only train."""
    for label, split, count in count_images(table).itertuples(index=False):
        if count or (given and split != "train") or (split == "val" and params.val_size == 0):
            continue
        remedy = "try another split.seed, or larger split.test_size and split.val_size"
        if given:
            remedy = f"change the given split, or leave the class out: {label}: null in " + (
                "download.layout.classes"
            )
        of_class = table[table["label"] == label]
        has = f"{len(of_class)} images"
        if params.group_by != "none":
            has += f", {params.group_by}s {examples(of_class[params.group_by])}"
        raise PipelineError(f"{split} has no image of class {label} ({has}); {remedy}")


def _check_folds(params: Split, given: Given) -> None:
    """Raise if `split.folds` or `split.fold` is not of the folds of the given split."""
    if params.folds not in (None, given.folds):
        has = f"{given.folds} folds" if given.folds else "parts"
        remedy = f"null or {given.folds}" if given.folds else "null"
        raise PipelineError(
            f"split.folds = {params.folds}, but {given.assigned.path} (split.assigned) has {has}; "
            f"set split.folds to {remedy}"
        )
    if given.folds and params.fold >= given.folds:
        raise PipelineError(
            f"split.fold = {params.fold}, but {given.assigned.path} (split.assigned) has the folds "
            f"0 to {given.folds - 1}"
        )


def _grouped(
    images: pd.DataFrame, params: Split, repeats: Mapping[str, str], *, few: bool = True
) -> pd.DataFrame:
    """The images with their `group`: what stays together, repeats of one image included.

    `few` raises if a class has fewer images or groups than there are parts.
    """
    first: dict[str, str] = {}
    of_several = repeats.keys() | set(repeats.values())
    # The first image may be in the test split of others, and so not be here.
    here = {
        path: root
        for path in images["path"]
        if path in of_several and (root := first.setdefault(repeats.get(path, path), path)) != path
    }
    groups = stratify.join_repeats(groups_of(images, params), images["path"].tolist(), here)
    table = images.assign(group=groups)
    if few:
        _check_enough(table, params)
    return table


def _assign_parts(
    table: pd.DataFrame, shares: Mapping[Hashable, float], params: Split
) -> pd.Series:
    """Stratified assignment of the groups to parts; a part whose share is 0 stays empty."""
    shares = {part: share for part, share in shares.items() if share > 0}
    parts, fractions = list(shares), list(shares.values())
    if params.group_by == "none":
        images = table.drop_duplicates("group")  # repeats follow the first image
        indices = stratify.assign_images(images["label"], fractions, params.seed)
        index_of = dict(zip(images["group"], indices, strict=True))
        chosen = [parts[index_of[group]] for group in table["group"]]
    else:
        indices = stratify.assign_groups(table["label"], table["group"], fractions, params.seed)
        chosen = [parts[index] for index in indices]
    return pd.Series(chosen, index=table.index)


def _check_enough(table: pd.DataFrame, params: Split) -> None:
    """Raise if a class has fewer images or groups than there are parts."""
    unit = "images" if params.group_by == "none" else f"{params.group_by}s"
    needed = (params.folds or 2) + (params.val_size > 0)
    purpose = f"{params.folds} folds" if params.folds else "a test share"
    purpose += " and a val share" if params.val_size > 0 else ""
    for label, of_class in table.groupby("label"):
        if (count := of_class["group"].nunique()) < needed:
            named = ""
            if params.group_by != "none":
                named = f" ({', '.join(sorted(set(of_class[params.group_by])))})"
            raise PipelineError(
                f"class {label} has {count} {unit}{named}, {needed} or more are needed for "
                f"{purpose}; add images, or lower split.folds or split.val_size"
            )
