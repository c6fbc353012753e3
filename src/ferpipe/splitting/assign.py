"""The assignment of every image to train, val or test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.params.split import Split
from ferpipe.splitting import stratify


@dataclass(frozen=True)
class Row:
    """A row of split.csv; subject and sequence are empty where the name does not tell."""

    path: str
    label: str
    subject: str
    sequence: str
    split: str


def assign(
    paths: Sequence[str], params: Split, repeats: Mapping[str, str] | None = None
) -> list[Row]:
    """Assign every image to train, val or test.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`.
        repeats: for each image that repeats an earlier one, the path of that one, as
            `near_duplicates.repeats` gives them; they stay together whatever they are grouped by.

    Returns:
        One row an image, in the order of `paths`.

    Raises:
        PipelineError: a name does not say its group, or there are too few images or groups of a
            class for the splits asked for.
    """
    labels = [path.split("/", 1)[0] for path in paths]
    subjects, sequences = zip(
        *(subject_and_sequence(path, params.name_pattern) for path in paths), strict=True
    )
    groups = {"none": paths, "sequence": sequences, "subject": subjects}[params.group_by]
    if "" in groups:
        path = paths[groups.index("")]
        raise PipelineError(
            f"split.group_by = {params.group_by!r}, but {groups.count('')} of {len(paths)} names "
            f"do not say their {params.group_by}, such as {path}; change split.name_pattern, or "
            "set split.group_by to 'none'"
        )
    groups = stratify.join_repeats(groups, paths, repeats or {})
    _check_enough(labels, groups, params)

    if params.folds is None:
        shares = [1 - params.test_size - params.val_size, params.val_size, params.test_size]
        parts = _parts(labels, groups, shares, params)
    else:
        fold_of = _parts(labels, groups, [1 / params.folds] * params.folds, params)
        rest = [image for image, fold in enumerate(fold_of) if fold != params.fold]
        val_share = params.val_size / (1 - 1 / params.folds)
        assigned = _parts(
            [labels[image] for image in rest],
            [groups[image] for image in rest],
            [1 - val_share, val_share],
            params,
        )
        parts = [SPLITS.index("test")] * len(paths)
        for image, part in zip(rest, assigned, strict=True):
            parts[image] = part
    names = [SPLITS[part] for part in parts]
    _check_every_class(labels, names, params)
    return [Row(*row) for row in zip(paths, labels, subjects, sequences, names, strict=True)]


def subject_and_sequence(path: str, pattern: str) -> tuple[str, str]:
    """Subject and sequence of an image, from its file name; empty where it does not tell.

    Args:
        path: `<label>/<file>`.
        pattern: `split.name_pattern`.
    """
    match = re.match(pattern, path.split("/", 1)[1])
    found = match.groupdict(default="") if match else {}
    return found.get("subject", ""), found.get("sequence", "")


def _parts(
    labels: Sequence[str], groups: Sequence[str], shares: Sequence[float], params: Split
) -> list[int]:
    """Stratified assignment to the parts with a share above 0; the others stay empty."""
    used = [part for part, share in enumerate(shares) if share > 0]
    shares = [shares[part] for part in used]
    if params.group_by == "none":
        # Each group is a single image, but for those that are there more than once.
        label_of = {}
        for label, group in zip(labels, groups, strict=True):
            label_of.setdefault(group, label)
        assigned = stratify.assign_images(list(label_of.values()), shares, params.seed)
        part_of = dict(zip(label_of, assigned, strict=True))
        parts = [part_of[group] for group in groups]
    else:
        parts = stratify.assign_groups(labels, groups, shares, params.seed)
    return [used[part] for part in parts]


def _check_enough(labels: Sequence[str], groups: Sequence[str], params: Split) -> None:
    """Refuse what cannot work: fewer images or groups of a class than there are parts."""
    what = {"none": "images"}.get(params.group_by, f"{params.group_by}s")
    parts = (params.folds or 2) + (params.val_size > 0)
    wish = f"{params.folds} folds" if params.folds else "a test share"
    wish += " and a val share" if params.val_size > 0 else ""
    distinct = set(zip(labels, groups, strict=True))
    for label, count in sorted(Counter(label for label, _ in distinct).items()):
        if count < parts:
            raise PipelineError(
                f"class {label} has {count} {what}, {parts} or more are needed for {wish}; "
                "add images, or lower split.folds or split.val_size"
            )


def _check_every_class(labels: Sequence[str], names: Sequence[str], params: Split) -> None:
    """Refuse a split that lacks a class."""
    wanted = [name for name in SPLITS if name != "val" or params.val_size > 0]
    counts = Counter(zip(names, labels, strict=True))
    for name in wanted:
        for label in sorted(set(labels)):
            if not counts[name, label]:
                raise PipelineError(
                    f"{name} got no image of class {label} ({Counter(labels)[label]} images); try "
                    "another split.seed, or larger split.test_size and split.val_size"
                )
