"""Stage `preprocess`: the images, decoded and resized, as TFRecord shards of each split."""

from __future__ import annotations

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records
from ferpipe.data.write_records import replace_records
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run


@exits_cleanly("preprocess")
def main() -> None:
    """Read params and split, write data/records/ in one go."""
    params = read_section(paths.PARAMS, "preprocess", Preprocess)
    run = read_section(paths.PARAMS, "run", Run)
    rows = files.read_csv(paths.SPLIT, paths.SPLIT_COLUMNS)
    schema = replace_records(rows, params, run.workers, paths.RECORDS)
    shards = sum(map(len, schema.shards.values()))
    side = f"{schema.image_size}x{schema.image_size}x{schema.channels}"
    counts = ", ".join(f"{name} {count}" for name, count in schema.images.items())
    print(f"preprocess: {len(rows)} images of {side} ({counts}) in {shards} shards")
    print(f"preprocess: classes and shards are listed in {paths.RECORDS / records.SCHEMA}")
