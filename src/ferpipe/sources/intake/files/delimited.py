"""Tables in the files of a source: CSV, TSV, or columns between blanks; read row by row."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePosixPath

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.sources.intake.files.entry import Entry, is_hidden, printable

SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt", ".lst", ".list"})
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
DELIMITERS = ("\t", ";", ",")
WORD = re.compile(r'"([^"]*)"|(\S+)')  # where blanks are between the columns
MAX_LINE = 2**24  # characters: bounds the memory; a row of 2000x2000 pixels has fewer
# Lines and characters that show what is between the columns.
SAMPLE_LINES, SAMPLE_SIZE = 20, 2**20

csv.field_size_limit(MAX_LINE)


def is_table(path: PurePosixPath) -> bool:
    """Whether the name is that of a table."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def read_rows(path: PurePosixPath, entry: Entry) -> Iterator[list[str]]:
    """Yield the cells of each row, without blanks around them; lines without cells are left out.

    Args:
        path: the file, for error messages.
        entry: the same file in the tree.

    Raises:
        PipelineError: the file is no text in UTF-8 or UTF-16, a quote has no end, or a line is
            longer than any image.
    """
    with closing(entry.open()) as file:
        try:
            text = io.TextIOWrapper(file, _encoding(entry), newline="")
            lines = _lines(text)
            sample = _sample(lines)
            delimiter = _delimiter(sample)
            for row in _split(itertools.chain(sample, lines), delimiter):
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield cells
        except UnicodeError:
            raise PipelineError(f"{printable(path)} is not in UTF-8; save it as UTF-8") from None
        except csv.Error as error:
            raise PipelineError(f"{printable(path)} is not CSV: {one_line(error)}") from None


def _encoding(entry: Entry) -> str:
    with closing(entry.open()) as file:
        head = file.read(4)
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return encoding
    if 0 in head[:2]:  # UTF-16 without a mark: the first character is of ASCII
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error(f"a line is longer than {MAX_LINE} characters")
        if "\0" in line:
            raise csv.Error("it contains the character NUL")
        yield line


def _sample(lines: Iterator[str]) -> list[str]:
    sample, size = [], 0
    while len(sample) < SAMPLE_LINES and size < SAMPLE_SIZE and (line := next(lines, "")):
        sample.append(line)
        size += len(line)
    return sample


def _delimiter(lines: list[str]) -> str:
    """What is between the columns: of several the one that is equally often in every line."""
    lines = [line for line in lines if line.strip()]
    used = [delimiter for delimiter in DELIMITERS if any(delimiter in line for line in lines[:1])]
    for delimiter in used:
        if len({len(row) for row in csv.reader(lines, delimiter=delimiter)}) == 1:
            return delimiter
    return max(used, key=lines[0].count) if used else " "


def _split(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return ([a or b for a, b in WORD.findall(line)] for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
