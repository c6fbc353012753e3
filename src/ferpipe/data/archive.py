"""Reading the canonical archive, data/raw/images.zip."""

from __future__ import annotations

import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ferpipe.core.errors import PipelineError

# What zipfile raises on a damaged zip.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
)


def read_images(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and encoded bytes of each image; PipelineError if the archive is damaged."""
    if not path.is_file():
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it")
    try:
        with zipfile.ZipFile(path) as zipped:
            for entry in zipped.infolist():
                yield entry.filename, zipped.read(entry)
    except DAMAGED as error:
        raise PipelineError(f"{path} is damaged ({error}); run `dvc repro --force`") from None


def read_listed(path: Path, names: Sequence[str], table: Path) -> Iterator[bytes]:
    """Yield the bytes of each image; PipelineError unless they are `names`, those of `table`."""
    for member, expected in itertools.zip_longest(read_images(path), names):
        name, data = member or (None, b"")
        if name != expected:
            differ = f"{table} and {path} differ at {name or expected}"
            raise PipelineError(f"{differ}; run `dvc repro --force`")
        yield data
