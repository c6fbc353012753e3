"""The leak audit: subjects, sequences and near-duplicates that training and held-out images share.

Held out are val and test. Val is compared with train, test with train and val: val selects the
epoch, and a solved head is refit on train + val.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ferpipe.core.paths import CLOSEST_PAIRS, CLOSEST_PAIRS_COLUMNS, SPLITS
from ferpipe.splitting.near_duplicates import COMPARED_WITH

# Warn if a larger share of the held-out images has something in common with training.
MAX_SHARED = 0.01


def summary(table: pd.DataFrame, pairs: pd.DataFrame, repeated: int) -> dict[str, object]:
    """The content of split_audit.json: counts, and shares (0..1) of the held-out images.

    `table` has the rows of split.csv, `pairs` those of `near_duplicates.closest`.
    """
    sizes = table["split"].value_counts().reindex(SPLITS, fill_value=0).to_dict()
    return {
        **sizes,
        "classes": table["label"].nunique(),
        "repeated_images": repeated,
        "held_out_sharing_subject": share(table, "subject"),
        "held_out_sharing_sequence": share(table, "sequence"),
        "held_out_near_duplicates": float(pairs["near_duplicate"].mean()),
        "selected_on_test": sizes["val"] == 0,
    }


def share(table: pd.DataFrame, key: str) -> float | None:
    """Share (0..1) of held-out images whose subject or sequence training contains too.

    None if a file name lacks the key ("subject" or "sequence").
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
    if facts["repeated_images"]:
        result.append(
            f"{facts['repeated_images']} images are exact duplicates; each is in the split of its "
            "original"
        )
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
