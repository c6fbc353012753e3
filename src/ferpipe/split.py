"""Stage `split`: which images train, which choose (val) and which judge (test)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from ferpipe import dealing, files
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split


@dataclass(frozen=True)
class Row:
    """A row of split.csv; subject and sequence are empty where the name does not tell."""

    path: str
    label: str
    subject: str
    sequence: str
    split: str


def split(paths: Sequence[str], params: Split) -> list[Row]:
    """Deal the images.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`.

    Returns:
        One row an image, in the order of `paths`.

    Raises:
        PipelineError: a name does not say its group, or there are too few images or groups of a
            class for the splits asked for.
    """
    labels = [path.split("/", 1)[0] for path in paths]
    subjects, sequences = zip(*(_who(path, params.name_pattern) for path in paths), strict=True)
    groups = {"none": paths, "sequence": sequences, "subject": subjects}[params.group_by]
    if "" in groups:
        path = paths[groups.index("")]
        raise PipelineError(
            f"split.group_by = {params.group_by!r}, but {groups.count('')} of {len(paths)} names "
            f"do not say their {params.group_by}, such as {path}; change split.name_pattern, or "
            "set split.group_by to 'none'"
        )
    _check_enough(labels, groups, params)

    if params.folds is None:
        shares = [1 - params.test_size - params.val_size, params.val_size, params.test_size]
        parts = _deal(labels, groups, shares, params)
    else:
        fold_of = _deal(labels, groups, [1 / params.folds] * params.folds, params)
        rest = [image for image, fold in enumerate(fold_of) if fold != params.fold]
        val_share = params.val_size / (1 - 1 / params.folds)
        dealt = _deal(
            [labels[image] for image in rest],
            [groups[image] for image in rest],
            [1 - val_share, val_share],
            params,
        )
        parts = [files.SPLITS.index("test")] * len(paths)
        for image, part in zip(rest, dealt, strict=True):
            parts[image] = part
    names = [files.SPLITS[part] for part in parts]
    _check_every_class(labels, names, params)
    return [Row(*row) for row in zip(paths, labels, subjects, sequences, names, strict=True)]


def _who(path: str, pattern: str) -> tuple[str, str]:
    """Subject and sequence of an image, from its file name; empty where it does not tell."""
    match = re.match(pattern, path.split("/", 1)[1])
    found = match.groupdict(default="") if match else {}
    return found.get("subject", ""), found.get("sequence", "")


def _deal(
    labels: Sequence[str], groups: Sequence[str], shares: Sequence[float], params: Split
) -> list[int]:
    """Deal into the parts with a share above 0; the others stay empty."""
    used = [part for part, share in enumerate(shares) if share > 0]
    shares = [shares[part] for part in used]
    if params.group_by == "none":
        parts = dealing.deal_images(labels, shares, params.seed)
    else:
        parts = dealing.deal_groups(labels, groups, shares, params.seed)
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
    wanted = [name for name in files.SPLITS if name != "val" or params.val_size > 0]
    counts = Counter(zip(names, labels, strict=True))
    for name in wanted:
        for label in sorted(set(labels)):
            if not counts[name, label]:
                raise PipelineError(
                    f"{name} got no image of class {label} ({Counter(labels)[label]} images); try "
                    "another split.seed, or larger split.test_size and split.val_size"
                )


def summary(rows: Sequence[Row]) -> dict[str, object]:
    """Tell how the split came out.

    Returns:
        Images of each split; the shares (0..1) of held-out images (val and test) whose subject or
        sequence is also in train, null where names do not tell; and whether test also chooses.
    """
    sizes = Counter(row.split for row in rows)
    held_out = [row for row in rows if row.split != "train"]

    def shared(key: str) -> float | None:
        if not all(getattr(row, key) for row in rows):
            return None
        trained = {getattr(row, key) for row in rows if row.split == "train"}
        return sum(getattr(row, key) in trained for row in held_out) / len(held_out)

    return {
        **{name: sizes[name] for name in files.SPLITS},
        "classes": len({row.label for row in rows}),
        "held_out_sharing_subject": shared("subject"),
        "held_out_sharing_sequence": shared("sequence"),
        "chosen_on_test": sizes["val"] == 0,
    }


@exits_cleanly("split")
def main() -> None:
    """Read index and params, split, write split.csv and the counts."""
    params = read_section(files.PARAMS, "split", Split)
    index = files.read_csv(files.INDEX, files.INDEX_HEADER)
    rows = split([row["path"] for row in index], params)
    facts = summary(rows)
    counts = Counter((row.label, row.split) for row in rows)
    table = [
        (label, name, counts[label, name])
        for label in sorted({r.label for r in rows})
        for name in files.SPLITS
    ]
    files.write_csv(files.SPLIT, files.SPLIT_HEADER, map(astuple, rows))
    files.write_json(files.REPORTS / "split.json", facts)
    files.write_csv(files.REPORTS / "split_counts.csv", ("class", "split", "images"), table)

    print(
        "split: "
        + ", ".join(f"{name} {facts[name]}" for name in files.SPLITS)
        + f" images, grouped by {params.group_by}"
    )
    for key in ("subject", "sequence"):
        share = facts[f"held_out_sharing_{key}"]
        if share is not None:
            print(f"split: {share:.1%} of the held-out images share their {key} with training")
    if facts["chosen_on_test"]:
        print(
            "split: WARNING: val_size is 0, so test also chooses the epoch; "
            "its accuracy will be too high"
        )
