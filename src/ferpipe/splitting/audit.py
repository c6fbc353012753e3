"""The leak audit: subjects, sequences and near-duplicates that training and held-out images share.

Held out are val and test. Val is compared with train, test with train and val: val selects the
epoch, and a solved head is refit on train + val.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ferpipe.core.paths import CLOSEST_PAIRS, CLOSEST_PAIRS_COLUMNS, SPLITS
from ferpipe.params.split import Split
from ferpipe.splitting.given import Given
from ferpipe.splitting.near_duplicates import COMPARED_WITH

# Warn if a larger share of the held-out images has something in common with training.
MAX_SHARED = 0.01


def summary(
    table: pd.DataFrame,
    pairs: pd.DataFrame,
    repeats: Mapping[str, str],
    params: Split,
    given: Given | None = None,
) -> dict[str, object]:
    """The content of split_audit.json: counts, and shares (0..1) of the held-out images.

    Args:
        table: the rows of split.csv.
        pairs: the rows of `near_duplicates.closest`.
        repeats: `near_duplicates.repeats`.
        params: the section `split`.
        given: the split that others made, if any.
    """
    sizes = table["split"].value_counts().reindex(SPLITS, fill_value=0).to_dict()
    facts = {"split_by": given.by if given else "random"}
    if given:
        facts["origin"] = _origin(table, params, given)
        facts["val_taken"] = sizes["val"] > 0 and "val" not in set(given.values)
        facts["repeats_across_splits"] = _repeats_across(table, repeats)
        facts["absent"] = _absent(table)
    if given and given.assigned:
        facts["assigned"] = given.assigned.path.name
        facts["assigned_sha256"] = given.assigned.sha256
    return {
        **sizes,
        "classes": table["label"].nunique(),
        **facts,
        "repeated_images": len(repeats),
        "held_out_sharing_subject": share(table, "subject"),
        "held_out_sharing_sequence": share(table, "sequence"),
        "held_out_near_duplicates": float(pairs["near_duplicate"].mean()),
        "selected_on_test": sizes["val"] == 0,
    }


def _origin(table: pd.DataFrame, params: Split, given: Given) -> str:
    """Where test and val come from, such as "test: the source's official test part (9 images)"."""
    val_given = "val" in set(given.values)
    if given.folds:
        of_test = f"fold {params.fold} of the {given.folds} in {given.source}"
        of_val = "taken from the other folds"
    else:
        of_test, of_val = (f"assigned by {given.source}",) * 2
        if given.by == "official":
            of_test, of_val = (f"the source's official {name} part" for name in ("test", "val"))
        of_val = of_val if val_given else "taken from its train part"
    counts = table["split"].value_counts()
    return "; ".join(
        f"{name}: {what} ({counts[name]:,} images)"
        for name, what in (("test", of_test), ("val", of_val))
        if name in counts
    )


def _absent(table: pd.DataFrame) -> list[str]:
    """The classes that val or test lacks, such as "test: fear"."""
    classes = sorted(set(table["label"]))
    return [
        f"{split}: {label}"
        for split, shown in table.groupby("split")["label"].unique().items()
        for label in classes
        if label not in shown
    ]


def _repeats_across(table: pd.DataFrame, repeats: Mapping[str, str]) -> int:
    """The number of held-out images that repeat an image of training pixel by pixel."""
    first = table["path"].map(lambda path: repeats.get(path, path))
    return sum(
        int(first[table["split"] == split].isin(first[table["split"].isin(others)]).sum())
        for split, others in COMPARED_WITH.items()
    )


def share(table: pd.DataFrame, key: str) -> float | None:
    """Share (0..1) of held-out images whose subject or sequence training contains too.

    None if it is not known of an image (`key` is "subject" or "sequence").
    """
    if (table[key] == "").any():
        return None
    shared = pd.concat(
        table[key][table["split"] == split].isin(table[key][table["split"].isin(others)])
        for split, others in COMPARED_WITH.items()
    )
    return float(shared.mean())


def lines(facts: Mapping[str, object], group_by: str) -> list[str]:
    """The lines that the stage prints, from `summary` and `split.group_by`."""
    sizes = ", ".join(f"{split} {facts[split]}" for split in SPLITS)
    result = [f"{sizes} images, grouped by {group_by}"]
    if facts["split_by"] != "random":
        val = f"; val grouped by {group_by}" if facts["val_taken"] else ""
        result = [f"{sizes} images{val}", str(facts["origin"])]
    repeated, across = facts["repeated_images"], facts.get("repeats_across_splits", 0)
    if repeated:
        where = "" if across else "; each is in the split of its original"
        result.append(f"{repeated} images are exact duplicates{where}")
    shares = {
        "share their subject with training": facts["held_out_sharing_subject"],
        "share their sequence with training": facts["held_out_sharing_sequence"],
        "have a near-duplicate in training": facts["held_out_near_duplicates"],
    }
    known = {what: share for what, share in shares.items() if share is not None}
    result += [f"{share:.1%} of the held-out images {what}" for what, share in known.items()]
    result.append(f"the closest pairs are in {CLOSEST_PAIRS}")
    if max(known.values()) > MAX_SHARED:
        result.append(
            "WARNING: training contains people or near-duplicates of the held-out images, so "
            "accuracy on them overestimates accuracy on new people"
        )
    if facts["split_by"] != "random" and facts["held_out_sharing_subject"] is None:
        result.append("subjects are not known, so people may be in training and in test")
    if absent := facts.get("absent"):
        result.append(f"classes without an image: {', '.join(absent)}")
    if across:
        result.append(
            f"WARNING: {across} held-out images are exact duplicates of training images; "
            "each stays where the given split has it"
        )
    if facts["selected_on_test"]:
        result.append(
            "WARNING: val_size is 0, so test is also the validation split: metrics are optimistic"
        )
    return result


def closest_pairs(pairs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of closest_pairs.csv, from those of `near_duplicates.closest` and of split.csv.

    `shared` is what the file names have in common: sequence, subject or none; unknown if one of
    them names no subject.
    """
    image = table.iloc[pairs["image"]].reset_index(drop=True)
    other = table.iloc[pairs["closest"]].reset_index(drop=True)
    both_named = (image["subject"] != "") & (other["subject"] != "")
    shared = both_named.map({True: "none", False: "unknown"})
    for key in ("subject", "sequence"):
        shared = shared.mask((image[key] != "") & (image[key] == other[key]), key)
    result = image.join(other.add_prefix("closest_")).assign(
        similarity=[f"{value:.4f}" for value in pairs["similarity"]],
        mirrored=pairs["mirrored"].array,
        near_duplicate=pairs["near_duplicate"].array,
        shared=shared,
    )
    return result[list(CLOSEST_PAIRS_COLUMNS)]
