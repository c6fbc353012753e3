from collections import namedtuple

import pandas as pd
import pytest

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import index

Row = namedtuple("Row", paths.INDEX_COLUMNS, defaults=("", "", ""))
HASHES = ("0" * 64, "f" * 64)
ROWS = [
    Row("anger/1.png", "anger", 48, 40, "L", *HASHES),
    Row("joy/1.png", "joy", 48, 48, "RGB", *HASHES),
]


def write(folder, rows):
    table = pd.DataFrame(rows, columns=list(paths.INDEX_COLUMNS))
    tables.write_table(folder / "index.csv", table)
    return folder / "index.csv"


def test_what_download_writes_reads_back(tmp_path):
    table = index.read_index(write(tmp_path, ROWS))
    assert list(table.itertuples(index=False, name=None)) == ROWS


WRONG = {
    "another class": Row("joy/2.png", "anger", 48, 48, "L", *HASHES),
    "no class": Row("2.png", "", 48, 48, "L", *HASHES),
    "deeper": Row("joy/a/2.png", "joy", 48, 48, "L", *HASHES),
    "twice": ROWS[1],
    "out of order": Row("anger/0.png", "anger", 48, 48, "L", *HASHES),
    "no width": Row("joy/2.png", "joy", 0, 48, "L", *HASHES),
    "another mode": Row("joy/2.png", "joy", 48, 48, "CMYK", *HASHES),
    "no hash": Row("joy/2.png", "joy", 48, 48, "L", "0" * 63, "0" * 64),
    "no hash of the pixels": Row("joy/2.png", "joy", 48, 48, "L", "0" * 64, "0" * 63),
    "control character": Row("joy/2\x1b.png", "joy", 48, 48, "L", *HASHES),
    "another part": ROWS[1]._replace(path="joy/2.png", part="training"),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
def test_an_invalid_row_is_an_error_that_names_its_line(tmp_path, row):
    path = write(tmp_path, [*ROWS, row])
    with pytest.raises(PipelineError, match=r"index\.csv, line 4: not a valid row; run `dvc repro"):
        index.read_index(path)


def test_an_index_without_images_is_an_error(tmp_path):
    with pytest.raises(PipelineError, match=r"index\.csv lists no images; run `dvc repro --force`"):
        index.read_index(write(tmp_path, []))
