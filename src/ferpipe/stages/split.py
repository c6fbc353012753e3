"""Stage `split`: assign the images to train, val (selects the epoch) and test."""

from __future__ import annotations

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.core.tables import write_table
from ferpipe.data import thumbnails
from ferpipe.data.index import read_index
from ferpipe.params.reader import read_section
from ferpipe.params.split import NAME_GROUPS, Split
from ferpipe.splitting import audit, near_duplicates
from ferpipe.splitting.assign import assign, count_images
from ferpipe.splitting.given import given, notes
from ferpipe.splitting.subjects import examples, name_images

LISTED = 100  # rows of closest_pairs.csv


@exits_cleanly("split")
def main() -> None:
    """Read index, thumbnails and params; write split.csv, image counts and the leak audit."""
    params = read_section(paths.PARAMS, "split", Split)
    images = name_images(read_index(paths.INDEX), params)
    split = given(images, params)
    repeats = near_duplicates.repeats(images["path"], images["pixels_sha256"])
    small = thumbnails.read(paths.THUMBNAILS, len(images))
    table = assign(images, params, repeats, split)
    pairs = near_duplicates.closest(small, table["split"])
    facts = audit.summary(table, pairs, repeats, params, split)
    write_table(paths.SPLIT, table)
    write_table(paths.REPORTS / "split_counts.csv", count_images(table))
    write_table(paths.CLOSEST_PAIRS, audit.closest_pairs(pairs[:LISTED], table))
    files.write_json(paths.SPLIT_AUDIT, facts)
    files.write_json(paths.SPLIT_METRICS, {"near_duplicates": facts["held_out_near_duplicates"]})
    known = [f"{key}s {examples(table[key])}" for key in NAME_GROUPS if any(table[key])]
    lines = [*notes(images, params, split), *audit.lines(facts, params.group_by), *known]
    for line in lines:
        print(f"split: {line}")
