"""The leak audit: what training and the held-out images have in common."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ferpipe.core import paths
from ferpipe.splitting.near_duplicates import TRAINING

# A larger fraction of held-out images with relatives in training is worth a warning.
DOUBTFUL_LEAK = 0.01


def summary(
    table: pd.DataFrame, pairs: pd.DataFrame, repeats: Mapping[str, str]
) -> dict[str, object]:
    """Summarise a split.

    Held out are val and test. For test, val counts as training too: it selects the epoch, and a
    solved head is refit on it.

    Args:
        table: as in split.csv.
        pairs: as `near_duplicates.closest` gives them.
        repeats: the images that repeat an earlier one.

    Returns:
        The content of data/split_audit.json: images of each split; fractions (0..1) of held-out
        images with their subject, their sequence or a near-duplicate in training, None where names
        do not state it; the number of repeated images; whether test also selects the epoch.
    """
    sizes = table["split"].value_counts()
    return {
        **{name: int(sizes.get(name, 0)) for name in paths.SPLITS},
        "classes": table["label"].nunique(),
        "repeated_images": len(repeats),
        "held_out_sharing_subject": shared_fraction(table, "subject"),
        "held_out_sharing_sequence": shared_fraction(table, "sequence"),
        "held_out_near_duplicates": float(pairs["near_duplicate"].mean()),
        "selected_on_test": "val" not in sizes,
    }


def shared_fraction(table: pd.DataFrame, key: str) -> float | None:
    """The fraction of held-out images whose subject or sequence (`key`) is in training too."""
    if (table[key] == "").any():
        return None
    shared = [
        table.loc[table["split"] == name, key].isin(table.loc[table["split"].isin(earlier), key])
        for name, earlier in TRAINING.items()
    ]
    return float(pd.concat(shared).mean())


def lines(facts: Mapping[str, object], group_by: str) -> list[str]:
    """What the stage prints of a summary; `group_by` is `split.group_by`."""
    sizes = ", ".join(f"{name} {facts[name]}" for name in paths.SPLITS)
    text = [f"{sizes} images, grouped by {group_by}"]
    if facts["repeated_images"]:
        text.append(
            f"{facts['repeated_images']} images repeat another one exactly; each is in its split"
        )
    fractions = {
        "share their subject with training": facts["held_out_sharing_subject"],
        "share their sequence with training": facts["held_out_sharing_sequence"],
        "have a near-duplicate in training": facts["held_out_near_duplicates"],
    }
    known = {what: fraction for what, fraction in fractions.items() if fraction is not None}
    text += [f"{fraction:.1%} of the held-out images {what}" for what, fraction in known.items()]
    text.append(f"the closest pairs are in {paths.CLOSEST_PAIRS}")
    if max(known.values()) > DOUBTFUL_LEAK:
        text.append(
            "WARNING: held-out images have relatives in training, so accuracy on them says little "
            "about people never seen"
        )
    if facts["selected_on_test"]:
        text.append(
            "WARNING: val_size is 0, so test also selects the epoch; its metrics are optimistic"
        )
    return text


def pair_table(pairs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The table of closest_pairs.csv.

    Args:
        pairs: as `near_duplicates.closest` gives them.
        table: as in split.csv.

    Returns:
        A row a pair; `shared` is what the names state: sequence, subject, neither or unknown.
    """
    held_out = table.iloc[pairs["image"]].reset_index(drop=True)
    closest = table.iloc[pairs["closest"]].reset_index(drop=True)
    known = (held_out["subject"] != "") & (closest["subject"] != "")
    shared = known.map({True: "neither", False: "unknown"})
    for key in ("subject", "sequence"):
        same = (held_out[key] != "") & (held_out[key] == closest[key])
        shared = shared.mask(same, key)
    columns = ["path", "label", "split"]
    return held_out[columns].assign(
        **{f"closest_{name}": closest[name] for name in columns},
        similarity=[f"{similarity:.4f}" for similarity in pairs["similarity"]],
        mirrored=pairs["mirrored"].reset_index(drop=True),
        near_duplicate=pairs["near_duplicate"].reset_index(drop=True),
        shared=shared,
    )
