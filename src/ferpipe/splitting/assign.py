"""The assignment of every image to train, val or test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.params.split import Split
from ferpipe.splitting import stratify


def assign(
    paths: Sequence[str], params: Split, repeats: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Assign every image to train, val or test.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`.
        repeats: path of each image that repeats an earlier one -> path of that one, as
            `near_duplicates.repeats` gives them; they stay in one split.

    Returns:
        The table of split.csv, in the order of `paths`.

    Raises:
        PipelineError: a name does not state its group, or a class has too few images or groups.
    """
    table = pd.DataFrame({"path": paths, "label": [path.partition("/")[0] for path in paths]})
    names = [subject_and_sequence(path, params.name_pattern) for path in paths]
    table[["subject", "sequence"]] = pd.DataFrame(names, dtype="str")
    groups = table["path" if params.group_by == "none" else params.group_by]
    unknown = table.loc[groups == "", "path"]
    if len(unknown):
        raise PipelineError(
            f"split.group_by = {params.group_by!r}, but {len(unknown)} of {len(paths)} names do "
            f"not state their {params.group_by}, such as {unknown.iloc[0]}; change "
            "split.name_pattern, or set split.group_by to 'none'"
        )
    grouped = pd.DataFrame(
        {"label": table["label"], "group": stratify.join_repeats(groups, paths, repeats or {})}
    )
    _check_enough(grouped, params)
    table["split"] = _splits(grouped, params)
    _check_every_class(table, params)
    return table


def subject_and_sequence(path: str, pattern: str) -> tuple[str, str]:
    """Read subject and sequence from the file name of `<label>/<file>`; "" if it has none."""
    match = re.match(pattern, path.partition("/")[2])
    groups = match.groupdict(default="") if match else {}
    return groups.get("subject", ""), groups.get("sequence", "")


def _splits(grouped: pd.DataFrame, params: Split) -> pd.Series:
    """The split of each row of `grouped` (label, group)."""
    if params.folds is None:
        fractions = [1 - params.test_size - params.val_size, params.val_size, params.test_size]
        return _parts(grouped, fractions, params).map(dict(enumerate(SPLITS)))
    folds = _parts(grouped, [1 / params.folds] * params.folds, params)
    val = params.val_size / (1 - 1 / params.folds)  # of the images outside the test fold
    rest = _parts(grouped[folds != params.fold], [1 - val, val], params)
    return rest.map(dict(enumerate(SPLITS))).reindex(grouped.index, fill_value="test")


def _parts(grouped: pd.DataFrame, fractions: Sequence[float], params: Split) -> pd.Series:
    """Stratified assignment to parts; those with a fraction of 0 stay empty."""
    used = [part for part, fraction in enumerate(fractions) if fraction > 0]
    fractions = [fractions[part] for part in used]
    if params.group_by == "none":
        # A group is a single image, or all images that repeat it.
        images = grouped.drop_duplicates("group")
        parts = stratify.assign_images(images["label"].tolist(), fractions, params.seed)
        assigned = grouped["group"].map(dict(zip(images["group"], parts, strict=True)))
    else:
        labels, groups = grouped["label"].tolist(), grouped["group"].tolist()
        parts = stratify.assign_groups(labels, groups, fractions, params.seed)
        assigned = pd.Series(parts, index=grouped.index)
    return assigned.map(dict(enumerate(used)))


def _check_enough(grouped: pd.DataFrame, params: Split) -> None:
    """Refuse fewer images or groups of a class than there are parts."""
    unit = "images" if params.group_by == "none" else f"{params.group_by}s"
    parts = (params.folds or 2) + (params.val_size > 0)
    purpose = f"{params.folds} folds" if params.folds else "a test share"
    purpose += " and a val share" if params.val_size > 0 else ""
    for label, count in grouped.groupby("label")["group"].nunique().items():
        if count < parts:
            raise PipelineError(
                f"class {label} has {count} {unit}, {parts} or more are needed for {purpose}; "
                "add images, or lower split.folds or split.val_size"
            )


def _check_every_class(table: pd.DataFrame, params: Split) -> None:
    """Refuse a split that lacks a class."""
    counts = pd.crosstab(table["split"], table["label"])
    for name in SPLITS if params.val_size > 0 else ("train", "test"):
        for label, total in counts.sum().items():
            if name not in counts.index or not counts.loc[name, label]:
                raise PipelineError(
                    f"{name} got no image of class {label} ({total} images); try another "
                    "split.seed, or larger split.test_size and split.val_size"
                )
