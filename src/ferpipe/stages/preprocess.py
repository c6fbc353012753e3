"""Stage `preprocess`: the images, decoded and resized, as TFRecord shards of each split."""

from __future__ import annotations

from ferpipe.core import paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records
from ferpipe.data.write_records import write_records
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run


@exits_cleanly("preprocess")
def main() -> None:
    """Read params and split.csv, write data/records/."""
    params = read_section(paths.PARAMS, "preprocess", Preprocess)
    workers = read_section(paths.PARAMS, "run", Run).workers
    split = tables.read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    schema = write_records(split, paths.IMAGES, params, paths.RECORDS, workers)
    side = f"{schema.image_size}x{schema.image_size}x{schema.channels}"
    counts = ", ".join(f"{name} {count}" for name, count in schema.images.items())
    shards = sum(map(len, schema.shards.values()))
    print(f"preprocess: {len(split)} images of {side} ({counts}) in {shards} shards")
    print(f"preprocess: classes and shards are listed in {paths.RECORDS / records.SCHEMA}")
