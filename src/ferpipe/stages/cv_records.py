"""Stage `cv_records`: all images as TFRecord shards, whatever split they are in.

The records of `preprocess` change with every split; these do not, so neither do the folds.
"""

from __future__ import annotations

from ferpipe.core import paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data.index import read_index
from ferpipe.data.records import ALL
from ferpipe.data.write_records import replace_records
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run


@exits_cleanly("cv_records")
def main() -> None:
    """Read params and index, write `data/cv/records/` in one go."""
    params = read_section(paths.PARAMS, "preprocess", Preprocess)
    workers = read_section(paths.PARAMS, "run", Run).workers
    rows = [{**row, "split": ALL} for row in read_index(paths.INDEX)]
    schema = replace_records(rows, params, workers, paths.CV_RECORDS, splits=(ALL,))
    side = f"{schema.image_size}x{schema.image_size}x{schema.channels}"
    print(f"cv_records: {schema.images[ALL]} images of {side} in {paths.CV_RECORDS}")
