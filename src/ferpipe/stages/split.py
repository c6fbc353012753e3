"""Stage `split`: assign the images to train, val and test, and audit the assignment for leaks."""

from __future__ import annotations

import pandas as pd

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.core.tables import write_table
from ferpipe.data.index import read_index
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split
from ferpipe.splitting import audit, near_duplicates
from ferpipe.splitting.assign import assign

LISTED = 100  # pairs in closest_pairs.csv


@exits_cleanly("split")
def main() -> None:
    """Read index, images and params; write split.csv, counts, audit and closest pairs."""
    params = read_section(paths.PARAMS, "split", Split)
    images = read_index(paths.INDEX)["path"].tolist()
    fingerprints = near_duplicates.fingerprints(paths.IMAGES, images)
    repeats = near_duplicates.repeats(images, fingerprints.digests)
    table = assign(images, params, repeats)
    pairs = near_duplicates.closest(fingerprints.thumbnails, table["split"])
    facts = audit.summary(table, pairs, repeats)

    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=paths.SPLITS, fill_value=0)
    counts = counts.stack().rename("images").rename_axis(["class", "split"]).reset_index()
    write_table(paths.SPLIT, table)
    files.write_json(paths.SPLIT_AUDIT, facts)
    files.write_json(paths.SPLIT_METRICS, {"near_duplicates": facts["held_out_near_duplicates"]})
    write_table(paths.REPORTS / "split_counts.csv", counts)
    write_table(paths.CLOSEST_PAIRS, audit.pair_table(pairs.head(LISTED), table))
    for line in audit.lines(facts, params.group_by):
        print(f"split: {line}")
