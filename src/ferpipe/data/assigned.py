"""The file of `split.assigned`: the part or fold of each image, sequence or subject."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.data.parts import PARTS

# Names of columns, in any case. Other columns are ignored.
KEYS = {
    **dict.fromkeys(("path", "file", "filename", "image"), "path"),
    **dict.fromkeys(("sequence", "recording", "video"), "sequence"),
    **dict.fromkeys(("subject", "person"), "subject"),
}
VALUES = {**dict.fromkeys(("part", "split", "set", "usage"), "part"), "fold": "fold"}
FOLD = re.compile(r"(?:fold[ _-]*)?([0-9]{1,4})(?:\.0+)?")  # 3, fold_3, 3.0
SEPARATORS = ",\t;"
COLUMNS = "should begin with a column path, sequence or subject, and a column part or fold"


@dataclass(frozen=True)
class Assigned:
    """The content of a file with rows.

    Args:
        path: the file.
        key: what is assigned: path, sequence or subject.
        rows: (key, value) of each row, in order; the value is a part, or a fold from 0.
        folds: number of folds; None if the values are parts.
        sha256: of the file.
    """

    path: Path
    key: str
    rows: list[tuple[str, str | int]]
    folds: int | None
    sha256: str


def read_assigned(path: Path) -> Assigned | None:
    """Read the file; None if it has no rows.

    Raises:
        PipelineError: the file is missing, or its columns, a part or the folds are not valid.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PipelineError(
            f"split.assigned = {str(path)!r}: there is no such file; the default is "
            "data/assigned.csv"
        ) from None
    header, rows = _rows(path, data)
    key, key_column = _column(path, header, KEYS)
    value, value_column = _column(path, header, VALUES)
    if not rows:
        return None
    parse = _part if value == "part" else _fold
    pairs = []
    for line, row in rows:
        if len(row) != len(header):
            raise PipelineError(f"{path}, line {line}: {len(row)} values for {len(header)} columns")
        if not row[key_column]:
            raise PipelineError(f"{path}, line {line}: no {key}")
        pairs.append((row[key_column], parse(path, line, row[value_column])))
    folds = None
    if value == "fold":
        pairs, folds = _from_0(path, pairs)
    return Assigned(path, key, pairs, folds, hashlib.sha256(data).hexdigest())


def _rows(path: Path, data: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (line, values) of each row that is not empty; without blanks around."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of Excel
    try:
        # Paths, subjects and sequences of the index are in NFC; macOS decomposes names.
        text = unicodedata.normalize("NFC", data.decode("utf-16" if utf16 else "utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} is not UTF-8 ({error}); save it as UTF-8 CSV") from None
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for row in reader:
            values = [value.strip() for value in row]
            if any(values):
                rows.append((reader.line_num, values))
    except csv.Error as error:
        raise PipelineError(
            f"{path}, line {reader.line_num}: not CSV ({one_line(error)})"
        ) from None
    if not rows:
        raise PipelineError(f"{path} is empty; it {COLUMNS}")
    (_, header), *rows = rows
    return header, rows


def _column(path: Path, header: list[str], known: dict[str, str]) -> tuple[str, int]:
    """The meaning and index of the one column of a kind."""
    found = [(known[name.lower()], at) for at, name in enumerate(header) if name.lower() in known]
    if len(found) == 1:
        return found[0]
    names = ", ".join(header)[:80]
    if not found:
        raise PipelineError(f"{path} {COLUMNS}; its columns are {names}")
    several = " and ".join(header[at] for _, at in found)
    raise PipelineError(f"{path} {COLUMNS}, found {several}; keep one of them")


def _part(path: Path, line: int, text: str) -> str:
    if part := PARTS.get(text.lower()):
        return part
    raise PipelineError(f"{path}, line {line}: part = {text!r} should be train, val or test")


def _fold(path: Path, line: int, text: str) -> int:
    if match := FOLD.fullmatch(text.lower()):
        return int(match[1])
    raise PipelineError(f"{path}, line {line}: fold = {text!r} should be a number, from 0 or 1")


def _from_0(path: Path, pairs: list[tuple[str, int]]) -> tuple[list[tuple[str, int]], int]:
    """The rows with folds from 0, and the number of folds; the smallest tells where they begin."""
    found = Counter(fold for _, fold in pairs)
    first, count = min(found), len(found)
    if first > 1 or count < 2 or max(found) != first + count - 1:
        shown = ", ".join(map(str, sorted(found)[:20]))
        raise PipelineError(
            f"{path}: the folds should be numbered without a gap, from 0 or 1, and two or more; "
            f"they are {shown}"
        )
    return [(name, fold - first) for name, fold in pairs], count
