"""CSV tables as pandas frames: columns of declared types, and the same bytes every time."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ferpipe.core import files
from ferpipe.core.errors import PipelineError, one_line

REMEDY = "run `dvc repro --force`"
# Rows that are read at a time, and values of a column that are remembered.
ROWS, KNOWN = 10_000, 65_536


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a frame as UTF-8 CSV with `\\n` line ends, floats rounded to six significant digits.

    Missing values become empty fields, truth values `true` and `false`.
    """
    columns = {}
    for name, column in table.items():
        if pd.api.types.is_float_dtype(column.dtype):
            column = column.map(files.rounded, na_action="ignore")
        elif pd.api.types.is_bool_dtype(column.dtype):
            column = column.map({True: "true", False: "false"})
        columns[name] = column
    text = pd.DataFrame(columns, columns=table.columns).to_csv(index=False, lineterminator="\n")
    files.write_text(path, text)


def read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a CSV that a stage wrote.

    Args:
        path: the file.
        columns: its columns, in order, with their dtypes: "str" (an empty field is ""), "int64",
            "Int64" or "float64" (an empty field is missing in both).

    Raises:
        PipelineError: the file is missing or not UTF-8 CSV, or it has other columns, a row of
            another length or a value that is not of its column's type.
    """
    try:
        # pandas' own parser fills up short rows without a word.
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header is None:
                raise PipelineError(f"{path} is empty; {REMEDY}")
            if header != list(columns):
                found = ",".join(header)[:80]
                raise PipelineError(
                    f"{path} should begin with {','.join(columns)}, found {found}; {REMEDY}"
                )
            values = _read_columns(reader, len(columns), path)
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(f"{path} is not UTF-8 CSV ({error}); {REMEDY}") from None
    table = pd.DataFrame({name: pd.Series(values.pop(0), dtype="str") for name in header})
    for name in (name for name, dtype in columns.items() if dtype != "str"):
        try:
            table[name] = pd.to_numeric(table[name].replace("", None)).astype(columns[name])
        except (ValueError, TypeError) as error:
            raise PipelineError(f"{path}, column {name}: {one_line(error)}; {REMEDY}") from None
    return table


def _read_columns(reader: Iterator[list[str]], count: int, path: Path) -> list[list[str]]:
    """The values of each of `count` columns, equal ones as one string, which saves most memory."""
    values: list[list[str]] = [[] for _ in range(count)]
    known: list[dict[str, str]] = [{} for _ in range(count)]
    while rows := list(itertools.islice(reader, ROWS)):
        for line, row in enumerate(rows, start=2 + len(values[0])):
            if len(row) != count:
                raise PipelineError(
                    f"{path}, line {line}: {len(row)} values for {count} columns; {REMEDY}"
                )
        for column, seen, cells in zip(values, known, zip(*rows, strict=True), strict=True):
            column += map(seen.setdefault, cells, cells)
            if len(seen) > KNOWN:
                seen.clear()
    return values
