"""The files of a source, a zip or a folder, without extracting anything or following links.

No source is trusted: names, sizes, links and the number of files are checked before any file is
read, and no member is read beyond its declared size.
"""

from __future__ import annotations

import functools
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Limits

MB = 10**6
# Other methods are refused: bzip2 and xz unpack a kilobyte to gigabytes in one step.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SPECIAL = "a link or a special file"  # which may lead anywhere, or block the reader


class Entry(NamedTuple):
    """A file of a source.

    `open` returns a stream of its bytes, never more than its declared size; None if it is never
    read. `skip` is the reason why it is no image to take, "" if it is one.
    """

    size: int
    open: Callable[[], BinaryIO] | None
    skip: str = ""

    def read(self) -> bytes:
        """All bytes of the file."""
        with self.open() as file:
            return file.read()


Tree = dict[PurePosixPath, Entry]
Files = Iterator[tuple[str, Entry]]  # name in the source


@contextmanager
def open_tree(source: Path, limits: Limits) -> Iterator[Tree]:
    """List the files of a zip or a folder; they can be read while the block lasts."""
    if source.is_dir():
        yield _checked_tree(source, _folder_files(source), limits)
    elif source.is_file():
        try:
            zipped = zipfile.ZipFile(source)
        except DAMAGED as error:
            raise PipelineError(f"{source} is not a valid zip: {error}") from None
        with zipped:
            yield _checked_tree(source, _zip_files(source, zipped), limits)
    else:
        raise PipelineError(f"{source} is missing; it should be a zip or a folder of class folders")


def is_image(path: PurePosixPath) -> bool:
    """Whether the name is that of an image, and not hidden or of macOS."""
    hidden = any(re.match(r"__MACOSX$|\.(?!\.)", part) for part in path.parts)
    return path.suffix.lower() in images.SUFFIXES and not hidden


def printable(path: PurePosixPath) -> str:
    """The path with escapes, as in Python source, for what is not printable or not UTF-8."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(path)
    )


def _folder_files(source: Path) -> Files:
    for folder, folders, names in os.walk(source, onerror=_raise):
        inside = Path(folder).relative_to(source)
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        if not folders and not names:
            yield inside.as_posix(), Entry(0, None, "an empty folder")
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            readable = path.is_file() and not path.is_symlink()
            size = path.stat().st_size if readable else 0
            opened = functools.partial(path.open, "rb")
            entry = Entry(size, opened) if readable else Entry(0, None, SPECIAL)
            yield (inside / name).as_posix(), entry


def _raise(error: OSError) -> None:
    raise error  # os.walk would skip a folder that it cannot list


def _zip_files(source: Path, zipped: zipfile.ZipFile) -> Files:
    folders, filled = [], set()
    for entry in zipped.infolist():
        name = entry.orig_filename  # `filename` is cut at a NUL
        path = PurePosixPath(name)
        if name.endswith("/"):
            folders.append(path)
            continue
        filled.update(path.parents)
        special = stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG)
        opened = functools.partial(_open_member, source, zipped, entry)
        yield name, Entry(entry.file_size, opened) if not special else Entry(0, None, SPECIAL)
    for path in dict.fromkeys(folders):
        if path not in filled:
            yield str(path), Entry(0, None, "an empty folder")


def _checked_tree(source: Path, files: Files, limits: Limits) -> Tree:
    """Collect the files, and check names and limits; only images count towards the sizes."""

    def check(value: float, key: str, fault: str) -> None:
        limit = getattr(limits, key)
        if value > limit:
            more = f"more than download.limits.{key} = {limit}"
            raise PipelineError(f"{source}{fault}, {more}; raise it if the source is as intended")

    tree: Tree = {}
    total = 0
    for name, entry in files:
        path = PurePosixPath(name)
        if path in tree:
            raise PipelineError(f"{source}: {printable(path)} is there twice")
        size = entry.size
        check(len(tree) + 1, "files", " has too many files")
        image = is_image(path) or is_image(PurePosixPath(name.partition("\0")[0]))
        tree[path] = entry if image or entry.skip else entry._replace(skip="not an image file")
        if tree[path].skip:
            continue  # it is never read
        outside = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name)
        if outside or "\\" in name or not name.isprintable():
            raise PipelineError(f"{source}: the file name {name!r} is not a plain relative path")
        total += size
        check(size / MB, "file_mb", f": {name} has {size} bytes")
        check(total / MB, "total_mb", ": its images are too large together")
    if source.is_file():
        ratio = total / source.stat().st_size
        check(ratio, "ratio", f": its images unpack to {ratio:.0f} times its size")
    return tree


def _open_member(source: Path, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    if entry.flag_bits & 1:
        raise PipelineError(f"{source}: {entry.filename} is encrypted")
    if entry.compress_type not in METHODS:
        compressed = f"{entry.filename} is compressed by method {entry.compress_type}"
        remedy = "compress it with deflate, the default of zip programs"
        raise PipelineError(f"{source}: {compressed}; {remedy}")
    try:
        with zipped.open(entry) as file:
            # Without a size, zipfile unpacks everything, whatever size is declared.
            data = file.read(entry.file_size + 1)
        if len(data) != entry.file_size:
            raise zipfile.BadZipFile(f"{len(data)} bytes instead of {entry.file_size}")
        return io.BytesIO(data)
    except DAMAGED as error:
        damage = f"{entry.filename} cannot be read: {error}"
        raise PipelineError(f"{source} is not a valid zip: {damage}") from None
