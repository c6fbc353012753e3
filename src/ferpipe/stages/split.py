"""Stage `split`: which images train, which choose (val) and which judge (test)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, astuple

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data.index import read_index
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split
from ferpipe.splitting import audit, near_duplicates
from ferpipe.splitting.assign import assign
from ferpipe.splitting.audit import lines, summary

# The table for the report is of so many pairs; images beyond them are less alike.
LISTED = 100


@exits_cleanly("split")
def main() -> None:
    """Read index, images and params, split, write split.csv, the counts and the audit."""
    params = read_section(paths.PARAMS, "split", Split)
    index = read_index(paths.INDEX)
    image_paths = [row["path"] for row in index]
    looks = near_duplicates.fingerprints(paths.IMAGES, image_paths)
    repeats = near_duplicates.repeats(image_paths, looks.digests)
    rows = assign(image_paths, params, repeats)
    pairs = near_duplicates.closest(looks.thumbnails, [row.split for row in rows])
    facts = summary(rows, pairs, repeats)
    counts = Counter((row.label, row.split) for row in rows)
    table = [
        (label, name, counts[label, name])
        for label in sorted({r.label for r in rows})
        for name in paths.SPLITS
    ]
    files.write_csv(paths.SPLIT, paths.SPLIT_COLUMNS, map(astuple, rows))
    files.write_json(paths.SPLIT_AUDIT, facts)
    files.write_json(paths.SPLIT_METRICS, {"near_duplicates": facts["held_out_near_duplicates"]})
    files.write_csv(paths.REPORTS / "split_counts.csv", ("class", "split", "images"), table)
    listed = audit.pair_rows(pairs[:LISTED], [asdict(row) for row in rows])
    files.write_csv(paths.CLOSEST_PAIRS, paths.CLOSEST_PAIRS_COLUMNS, listed)
    for line in lines(facts, params.group_by):
        print(f"split: {line}")
