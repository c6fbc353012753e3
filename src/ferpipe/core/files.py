"""Writes files completely or not at all, beside their target and then moved over it."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferpipe.core.errors import NO_SPACE, PipelineError

# Suffix of temporary files; git and DVC ignore it.
UNFINISHED = ".partial"
BINARY = getattr(os, "O_BINARY", 0)  # Windows only
# Answers of file systems that cannot sync, such as some in user space.
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
# Significant digits of a float in a table or a JSON file.
DIGITS = 6
_open: set[Path] = set()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an exception.

    Yields:
        A binary file for writing and reading. If the block raises, the target is unchanged and the
        temporary file is removed. Only one process at a time may write a target.
    """
    _sweep(path)
    # As by `open`, with the umask; only the owner could read a file of mkstemp.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
    _open.add(temporary)
    try:
        with _naming(path):
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                _sync(file)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _open.discard(temporary)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`, on its file system; removed afterwards."""
    _sweep(path)
    with _naming(path):
        folder = Path(tempfile.mkdtemp(UNFINISHED, f".{path.name}.", path.parent))
        _open.add(folder)
        try:
            yield folder
        finally:
            _remove(folder)
            _open.discard(folder)


def _sync(file: BinaryIO) -> None:
    """Let the data reach the disk, so that a power cut leaves the old file or the whole new one."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def tidy() -> None:
    """Remove all open temporary files, before a process exits at once."""
    for path in tuple(_open):
        with suppress(OSError):  # the next run removes the rest
            _remove(path)


def _sweep(path: Path) -> None:
    """Make the folder of `path`, and remove temporary files of killed processes."""
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
    """Name `path` in errors of a full disk, which name no file or the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with `\\n` line ends."""
    write_bytes(path, text.encode())


def rounded(value: object) -> object:
    """Round floats to six significant digits, also in mappings and sequences.

    The last bits of a computed float differ between processors and library versions.
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write JSON with two-space indent, keys in the given order, floats rounded, no NaN."""
    text = json.dumps(rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON object of a stage; raises PipelineError if the file is missing or not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except ValueError as error:
        raise PipelineError(f"{path} is not JSON ({error}); run `dvc repro --force`") from None
    if not isinstance(value, dict):
        raise PipelineError(f"{path} is not a JSON object; run `dvc repro --force`")
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def zip_entry(name: str) -> zipfile.ZipInfo:
    """The header of a stored zip member, without date and platform."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, also when written on Windows
    entry.external_attr = 0o100644 << 16
    return entry
