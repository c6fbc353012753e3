"""The one way to write and read files: whole or not at all, and the same bytes.

Files are written beside their target and then moved over it with `os.replace`.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferpipe.core.errors import NO_SPACE, PipelineError

# What lies beside a target while it is written ends so; git and DVC ignore it.
UNFINISHED = ".partial"
BINARY = getattr(os, "O_BINARY", 0)  # of Windows
# Significant digits of a float in a table or a JSON file.
DIGITS = 6
_open: set[Path] = set()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends well.

    Args:
        path: the target, which one process at a time writes; its folder is made when missing.

    Yields:
        A binary file open for writing and reading. If the block raises, the target is untouched
        and the temporary file is gone.
    """
    _sweep(path)
    # As `open` makes it, so the umask holds; mkstemp makes files that only their owner reads.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
    _open.add(temporary)
    try:
        with _naming(path):
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _open.discard(temporary)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside `path`, on its file system; gone when the block ends.

    Args:
        path: what is made in there, by one process at a time; its folder is made when missing.

    Yields:
        The folder, empty.
    """
    _sweep(path)
    with _naming(path):
        folder = Path(tempfile.mkdtemp(UNFINISHED, f".{path.name}.", path.parent))
        _open.add(folder)
        try:
            yield folder
        finally:
            _remove(folder)
            _open.discard(folder)


def tidy() -> None:
    """Remove what is half written, for a process that ends at once."""
    for path in tuple(_open):
        with suppress(OSError):  # what stays is swept by the next run
            _remove(path)


def _sweep(path: Path) -> None:
    """Make the folder of `path`, and remove what a killed process left there on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED}"):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file that did not fit: a failed write names none, or one that is gone by then."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with `\\n` line ends."""
    write_bytes(path, text.encode())


def rounded(value: object) -> object:
    """Round floats to six significant digits, in mappings and sequences too.

    The last bits of a computed float differ between processors and library versions; no reader
    needs them.
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write canonical JSON: two-space indent, keys in the order given, floats rounded, no NaN."""
    text = json.dumps(rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON object that a stage wrote.

    Raises:
        PipelineError: the file is missing or is not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except ValueError as error:
        raise PipelineError(f"{path} is not JSON ({error}); run `dvc repro --force`") from None
    if not isinstance(value, dict):
        raise PipelineError(f"{path} holds no JSON object; run `dvc repro --force`")
    return value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as UTF-8 CSV with `\\n` line ends, floats rounded as `rounded` does."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rounded(list(row)) for row in rows)
    write_text(path, text.getvalue())


def zip_entry(name: str) -> zipfile.ZipInfo:
    """The header of a stored zip member, without anything of the machine or the moment."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, also when written on Windows
    entry.external_attr = 0o100644 << 16
    return entry


def read_csv(path: Path, header: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV that a stage wrote.

    Args:
        path: the file.
        header: the columns that it must have, in this order.

    Returns:
        One dict a row, every value a string.

    Raises:
        PipelineError: the file is missing, has other columns or a row of another length.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(f"{path} is not UTF-8 CSV ({error}); run `dvc repro --force`") from None
    if not rows or rows[0] != list(header):
        found = ",".join(rows[0]) if rows else "nothing"
        raise PipelineError(f"{path} should begin with {','.join(header)}, found {found[:80]}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise PipelineError(
                f"{path}, line {number}: {len(row)} values for {len(header)} columns"
            )
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]
