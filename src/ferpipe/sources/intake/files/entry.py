"""A file of a source: its size, how it is opened, and why it is no image to take."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Limits

MB = 10**6
EMPTY_FOLDER = "an empty folder"
NOT_AN_IMAGE = "not an image file"
SPECIAL = "a special file"  # which may block the reader
LINK_OR_SPECIAL = "a link or a special file"  # in an archive, where a link may lead anywhere


class Entry(NamedTuple):
    """A file of a source.

    `open` returns a stream of its bytes, never more than its declared size; None if it is never
    read. `skip` is the reason why it is no image to take, "" if it is one. `link` is the link that
    leads to it, as `<path> -> <target>`, "" if none does.
    """

    size: int
    open: Callable[[], io.BufferedIOBase] | None
    skip: str = ""
    link: str = ""

    def read(self) -> bytes:
        """All bytes of the file."""
        with self.open() as file:
            return file.read()

    def head(self, size: int) -> bytes:
        """The first bytes of the file."""
        with self.open() as file:
            return file.read1(size)  # without filling a buffer


Tree = dict[PurePosixPath, Entry]
Files = Iterator[tuple[str, Entry]]  # name in the source


def archive_files(members: Iterable[tuple[str, Entry | None]]) -> Files:
    """The files of an archive, and those of its folders, given with None, that are empty."""
    folders, parents = {}, set()
    for name, entry in members:
        if entry is None:
            folders[PurePosixPath(name)] = Entry(0, None, EMPTY_FOLDER)
        else:
            parents.add(name.rpartition("/")[0])
            yield name, entry
    filled = {folder for parent in parents for folder in PurePosixPath(parent, "file").parents}
    yield from ((str(path), entry) for path, entry in folders.items() if path not in filled)


def check_limit(source: Path, limits: Limits, key: str, value: float, fault: str) -> None:
    """Raise PipelineError if the value is above the limit of that key."""
    limit = getattr(limits, key)
    if value > limit:
        more = f"more than download.limits.{key} = {limit}"
        raise PipelineError(f"{source}{fault}, {more}; raise it if the source is as intended")


@contextmanager
def naming_damage(fault: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what is raised on a damaged archive, with further errors, into a PipelineError."""
    try:
        yield
    except (*DAMAGED, tarfile.TarError, *errors) as error:
        raise PipelineError(f"{fault}: {one_line(error)}") from None


def printable(path: PurePosixPath | str) -> str:
    """The path with escapes, as in Python source, for what is not printable or not UTF-8."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(path)
    )


def is_hidden(path: PurePosixPath) -> bool:
    """Whether a file is hidden, or of macOS beside what it has zipped."""
    return any(re.match(r"__MACOSX$|\.(?!\.)", part) for part in path.parts)
