"""Stage `split`: which images train, which choose (val) and which judge (test)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass

from ferpipe import dealing, files, leakage
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.index import read_index
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split

# A larger share of held-out images that training knows something of is worth a warning.
WORTH_A_WARNING = 0.01
# The table for the report is of so many pairs; images beyond them are less alike.
LISTED = 100


@dataclass(frozen=True)
class Row:
    """A row of split.csv; subject and sequence are empty where the name does not tell."""

    path: str
    label: str
    subject: str
    sequence: str
    split: str


def split(
    paths: Sequence[str], params: Split, repeats: Mapping[str, str] | None = None
) -> list[Row]:
    """Deal the images.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`.
        repeats: for each image that repeats an earlier one, the path of that one, as
            `leakage.repeats` gives them; they stay together whatever they are grouped by.

    Returns:
        One row an image, in the order of `paths`.

    Raises:
        PipelineError: a name does not say its group, or there are too few images or groups of a
            class for the splits asked for.
    """
    labels = [path.split("/", 1)[0] for path in paths]
    subjects, sequences = zip(*(who(path, params.name_pattern) for path in paths), strict=True)
    groups = {"none": paths, "sequence": sequences, "subject": subjects}[params.group_by]
    if "" in groups:
        path = paths[groups.index("")]
        raise PipelineError(
            f"split.group_by = {params.group_by!r}, but {groups.count('')} of {len(paths)} names "
            f"do not say their {params.group_by}, such as {path}; change split.name_pattern, or "
            "set split.group_by to 'none'"
        )
    groups = dealing.joined(groups, paths, repeats or {})
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


def who(path: str, pattern: str) -> tuple[str, str]:
    """Subject and sequence of an image, from its file name; empty where it does not tell.

    Args:
        path: `<label>/<file>`.
        pattern: `split.name_pattern`.
    """
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
        # Each group is a single image, but for those that are there more than once.
        label_of = {}
        for label, group in zip(labels, groups, strict=True):
            label_of.setdefault(group, label)
        dealt = dealing.deal_images(list(label_of.values()), shares, params.seed)
        part_of = dict(zip(label_of, dealt, strict=True))
        parts = [part_of[group] for group in groups]
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


def summary(
    rows: Sequence[Row], pairs: Sequence[leakage.Pair], repeats: Mapping[str, str]
) -> dict[str, object]:
    """Tell how the split came out.

    Held out are val and test. What val shares with train counts, and what test shares with train
    or val: val chooses, and a solved head has learned from it in the end.

    Args:
        rows: who is in which split.
        pairs: the closest pairs, one for each held-out image.
        repeats: the images that repeat an earlier one.

    Returns:
        Images of each split; the shares (0..1) of held-out images whose subject or sequence is in
        training too, null where names do not tell, and of those that have a near-duplicate there;
        how many images repeat another one; and whether test also chooses.
    """
    sizes = Counter(row.split for row in rows)
    table = [asdict(row) for row in rows]
    return {
        **{name: sizes[name] for name in files.SPLITS},
        "classes": len({row.label for row in rows}),
        "repeated_images": len(repeats),
        "held_out_sharing_subject": leakage.share(table, "subject"),
        "held_out_sharing_sequence": leakage.share(table, "sequence"),
        "held_out_near_duplicates": sum(pair.near for pair in pairs) / len(pairs),
        "chosen_on_test": sizes["val"] == 0,
    }


def lines(facts: Mapping[str, object], group_by: str) -> list[str]:
    """What the stage prints.

    Args:
        facts: as `summary` gives them.
        group_by: `split.group_by`.
    """
    sizes = ", ".join(f"{name} {facts[name]}" for name in files.SPLITS)
    told = [f"{sizes} images, grouped by {group_by}"]
    if facts["repeated_images"]:
        told.append(
            f"images that repeat another one pixel by pixel: {facts['repeated_images']}; each is "
            "in the split of that one"
        )
    shares = {
        "share their subject with training": facts["held_out_sharing_subject"],
        "share their sequence with training": facts["held_out_sharing_sequence"],
        "have a near-duplicate in training, by their pixels": facts["held_out_near_duplicates"],
    }
    known = {what: share for what, share in shares.items() if share is not None}
    told += [f"{share:.1%} of the held-out images {what}" for what, share in known.items()]
    told.append(f"the closest pairs are in {files.CLOSEST_PAIRS}")
    if max(known.values()) > WORTH_A_WARNING:
        told.append(
            "WARNING: training knows who or what the held-out images show, so accuracy on them "
            "will say little about people never seen"
        )
    if facts["chosen_on_test"]:
        told.append(
            "WARNING: val_size is 0, so test also chooses the epoch; its accuracy will be too high"
        )
    return told


@exits_cleanly("split")
def main() -> None:
    """Read index, images and params, split, write split.csv, the counts and the audit."""
    params = read_section(files.PARAMS, "split", Split)
    index = read_index(files.INDEX)
    paths = [row["path"] for row in index]
    looks = leakage.look(files.IMAGES, paths)
    repeats = leakage.repeats(paths, looks.digests)
    rows = split(paths, params, repeats)
    pairs = leakage.closest(looks.thumbnails, [row.split for row in rows])
    facts = summary(rows, pairs, repeats)
    counts = Counter((row.label, row.split) for row in rows)
    table = [
        (label, name, counts[label, name])
        for label in sorted({r.label for r in rows})
        for name in files.SPLITS
    ]
    files.write_csv(files.SPLIT, files.SPLIT_HEADER, map(astuple, rows))
    files.write_json(files.REPORTS / "split.json", facts)
    files.write_csv(files.REPORTS / "split_counts.csv", ("class", "split", "images"), table)
    listed = leakage.pair_rows(pairs[:LISTED], [asdict(row) for row in rows])
    files.write_csv(files.CLOSEST_PAIRS, files.CLOSEST_PAIRS_HEADER, listed)
    for line in lines(facts, params.group_by):
        print(f"split: {line}")
