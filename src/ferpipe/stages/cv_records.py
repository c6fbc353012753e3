"""Stage `cv_records`: all images as TFRecord shards of one split, used by every fold."""

from __future__ import annotations

from ferpipe.core import paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data.index import read_index
from ferpipe.data.records import ALL
from ferpipe.data.write_records import write_records
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run


@exits_cleanly("cv_records")
def main() -> None:
    """Read params and index.csv, write data/cv/records/."""
    params = read_section(paths.PARAMS, "preprocess", Preprocess)
    workers = read_section(paths.PARAMS, "run", Run).workers
    index = read_index(paths.INDEX).assign(split=ALL)
    target = paths.CV_RECORDS
    schema = write_records(index, paths.IMAGES, params, target, workers, (ALL,), paths.INDEX)
    side = f"{schema.image_size}x{schema.image_size}x{schema.channels}"
    print(f"cv_records: {schema.images[ALL]} images of {side} in {target}")
