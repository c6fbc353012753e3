import numpy as np
import pandas as pd
import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.core.tables import read_table, write_table

COLUMNS = {"path": "str", "count": "int64", "share": "float64", "people": "Int64"}


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "path": ["NA", "a, b", 'say "é"', ""],
            "count": [1, 20, 300, 4],
            "share": [1.0, 1 / 3, np.nan, np.inf],
            "people": pd.array([1, None, 3, 4], dtype="Int64"),
        }
    )


def test_a_table_is_read_back_with_its_dtypes_and_six_digits(table, tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, table)
    assert path.read_bytes().decode() == (
        'path,count,share,people\nNA,1,1.0,1\n"a, b",20,0.333333,\n"say ""é""",300,,3\n,4,inf,4\n'
    )
    expected = table.assign(share=[1.0, 0.333333, np.nan, np.inf])
    pd.testing.assert_frame_equal(read_table(path, COLUMNS), expected)


def test_booleans_are_written_in_lower_case(tmp_path):
    write_table(tmp_path / "t.csv", pd.DataFrame({"near": [True, False]}))
    assert (tmp_path / "t.csv").read_text() == "near\ntrue\nfalse\n"


def test_a_table_without_rows_keeps_its_columns(table, tmp_path):
    write_table(tmp_path / "t.csv", table.iloc[:0])
    empty = read_table(tmp_path / "t.csv", COLUMNS)
    assert list(empty) == list(COLUMNS) and len(empty) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "t.csv is missing; run `dvc repro`, which makes it"),
        (b"", "is empty"),
        (b"path,count\na,1\n", "should begin with path,count,share,people, found path,count"),
        (b"path,count,share,people\na,1,0.5\n", "line 2: 3 values for 4 columns"),
        (b"path,count,share,people\na,1,0.5,1\nb,2,0.5,1,9\n", "line 3: 5 values for 4 columns"),
        (b"path,count,share,people\na,one,0.5,1\n", "column count"),
        (b"path,count,share,people\na,,0.5,1\n", "column count"),
        (b'path,count,share,people\n"a,1,0.5,1\n', "not UTF-8 CSV"),
        (b"path,count,share,people\n\xff,1,0.5,1\n", "not UTF-8 CSV"),
    ],
)
def test_an_invalid_table_is_refused_in_one_line(text, message, tmp_path):
    if text is not None:
        (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(PipelineError, match=r"t\.csv") as error:
        read_table(tmp_path / "t.csv", COLUMNS)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
