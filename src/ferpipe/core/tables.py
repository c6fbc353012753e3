"""CSV tables as pandas frames: columns of declared types, and the same bytes every time."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ferpipe.core import files
from ferpipe.core.errors import PipelineError, one_line


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
    again = "run `dvc repro --force`"
    try:
        # pandas' own parser fills up short rows without a word.
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(f"{path} is not UTF-8 CSV ({error}); {again}") from None
    except ValueError:
        raise PipelineError(f"{path} is empty; {again}") from None
    if header != list(columns):
        found = ",".join(header)[:80]
        raise PipelineError(f"{path} should begin with {','.join(columns)}, found {found}; {again}")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise PipelineError(
                f"{path}, line {line}: {len(row)} values for {len(columns)} columns; {again}"
            )
    table = pd.DataFrame(rows, columns=header, dtype="str")
    for name in (name for name, dtype in columns.items() if dtype != "str"):
        try:
            table[name] = pd.to_numeric(table[name].replace("", None)).astype(columns[name])
        except (ValueError, TypeError) as error:
            raise PipelineError(f"{path}, column {name}: {one_line(error)}; {again}") from None
    return table
