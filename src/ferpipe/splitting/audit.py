"""The leak audit: what training shares with the held-out images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from ferpipe.core import paths
from ferpipe.splitting import audit, near_duplicates
from ferpipe.splitting.assign import Row
from ferpipe.splitting.near_duplicates import SEEN, Pair

# A larger share of held-out images that training knows something of is worth a warning.
WORTH_A_WARNING = 0.01


def summary(
    rows: Sequence[Row], pairs: Sequence[near_duplicates.Pair], repeats: Mapping[str, str]
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
        **{name: sizes[name] for name in paths.SPLITS},
        "classes": len({row.label for row in rows}),
        "repeated_images": len(repeats),
        "held_out_sharing_subject": audit.share(table, "subject"),
        "held_out_sharing_sequence": audit.share(table, "sequence"),
        "held_out_near_duplicates": sum(pair.near for pair in pairs) / len(pairs),
        "selected_on_test": sizes["val"] == 0,
    }


def lines(facts: Mapping[str, object], group_by: str) -> list[str]:
    """What the stage prints.

    Args:
        facts: as `summary` gives them.
        group_by: `split.group_by`.
    """
    sizes = ", ".join(f"{name} {facts[name]}" for name in paths.SPLITS)
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
    told.append(f"the closest pairs are in {paths.CLOSEST_PAIRS}")
    if max(known.values()) > WORTH_A_WARNING:
        told.append(
            "WARNING: training knows who or what the held-out images show, so accuracy on them "
            "will say little about people never seen"
        )
    if facts["selected_on_test"]:
        told.append(
            "WARNING: val_size is 0, so test also chooses the epoch; its metrics will be optimistic"
        )
    return told


Rows = Sequence[Mapping[str, str]]


def share(rows: Rows, key: str) -> float | None:
    """The share (0..1) of held-out images whose subject or sequence is in training too.

    Args:
        rows: the rows of split.csv.
        key: "subject" or "sequence".

    Returns:
        None where not every name tells it.
    """
    if not all(row[key] for row in rows):
        return None
    found = []
    for name, earlier in SEEN.items():
        known = {row[key] for row in rows if row["split"] in earlier}
        found += [row[key] in known for row in rows if row["split"] == name]
    return sum(found) / len(found)


def pair_rows(pairs: Iterable[Pair], rows: Rows) -> list[tuple[object, ...]]:
    """Rows of closest_pairs.csv.

    Args:
        pairs: as `closest` gives them.
        rows: the rows of split.csv.

    Returns:
        One row a pair; `shared` says what the names tell: sequence, subject or neither, or
        unknown.
    """
    return [
        (
            *(rows[pair.image][key] for key in ("path", "label", "split")),
            *(rows[pair.closest][key] for key in ("path", "label", "split")),
            f"{pair.similarity:.4f}",
            *(str(value).lower() for value in (pair.mirrored, pair.near)),
            _shared(rows[pair.image], rows[pair.closest]),
        )
        for pair in pairs
    ]


def _shared(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    for key in ("sequence", "subject"):
        if one[key] and one[key] == other[key]:
            return key
    return "neither" if one["subject"] and other["subject"] else "unknown"
