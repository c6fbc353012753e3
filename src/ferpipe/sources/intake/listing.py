"""What arrives, a zip or a folder, listed without extracting or following anything.

Nothing in it is trusted: names, sizes, links and the number of files are checked before any of
them is read, and no member is read beyond the size that it tells.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.data.archive import UNSOUND

MB = 10**6
# How a member may be packed. What bzip2 and xz unpack to cannot be bounded: of a kilobyte they make
# gigabytes at once.
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# For each file its path in the source and a function that returns its bytes; or, for what is never
# read, the reason.
Tree = dict[PurePosixPath, Callable[[], bytes] | str]


class Limits(Protocol):
    """How much may arrive: the keys of `download.limits`."""

    files: int
    file_mb: int
    total_mb: int
    ratio: int


@contextmanager
def open_tree(source: Path, limits: Limits | None = None) -> Iterator[Tree]:
    """List a zip or a folder.

    Args:
        source: where it lies.
        limits: how much may be in it; None sets none.

    Yields:
        For each file its path in the source and a function that returns its bytes.

    Raises:
        PipelineError: the source is missing, is no zip, has a member that cannot be trusted, or
            holds more than the limits allow.
    """
    if source.is_dir():
        yield _folder_tree(source, limits)
    elif source.is_file():
        try:
            zipped = zipfile.ZipFile(source)
        except UNSOUND as error:
            raise PipelineError(f"{source} is not a sound zip: {error}") from None
        with zipped:
            yield _zip_tree(source, zipped, limits)
    else:
        raise PipelineError(f"{source} is missing; it should be a zip or a folder of class folders")


def is_image(path: PurePosixPath) -> bool:
    """Whether the name is that of an image, and not of a system's own file."""
    hidden = "__MACOSX" in path.parts or any(
        part.startswith(".") and not part.startswith("..") for part in path.parts
    )
    return path.suffix.lower() in images.SUFFIXES and not hidden


def printable(path: PurePosixPath) -> str:
    """The path as text that any file and any terminal can hold: the rest as in Python's source."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(path)
    )


def _folder_tree(source: Path, limits: Limits | None) -> Tree:
    tree: Tree = {}
    total = _Total(source, limits)
    for folder, folders, names in os.walk(source, onerror=_raise):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        if not folders and not names and Path(folder) != source:
            tree[_inside(source, Path(folder))] = "an empty folder"
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            inside = _inside(source, path)
            total.count(len(tree) + 1)
            if path.is_symlink() or not path.is_file():
                tree[inside] = "a link or a special file"  # which may lead anywhere, or hang
                continue
            if is_image(inside):
                _check_name(source, str(inside))
                total.add(str(inside), path.stat().st_size)
            tree[inside] = path.read_bytes
    return tree


def _raise(error: OSError) -> None:
    """Let a folder that cannot be listed be an error, not an empty folder."""
    raise error


def _inside(source: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(source).as_posix())


def _zip_tree(source: Path, zipped: zipfile.ZipFile, limits: Limits | None) -> Tree:
    tree: Tree = {}
    total = _Total(source, limits)
    total.count(len(zipped.infolist()))
    folders = []
    for entry in zipped.infolist():
        name = entry.orig_filename  # zipfile cuts `filename` where it holds a NUL
        path = PurePosixPath(name)
        if name.endswith("/"):
            folders.append(path)
            continue
        if path in tree:
            raise PipelineError(f"{source}: {printable(path)} is there twice")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            tree[path] = "a link or a special file"
            continue
        if is_image(path) or is_image(PurePosixPath(entry.filename)):
            _check_name(source, name)
            if entry.flag_bits & 1:
                raise PipelineError(f"{source}: {name} is encrypted")
            if entry.compress_type not in PACKED:
                raise PipelineError(
                    f"{source}: {name} is packed by method {entry.compress_type}; pack it anew "
                    "with deflate, as zip programs do by themselves"
                )
            total.add(name, entry.file_size)
        tree[path] = functools.partial(_read_member, source, zipped, entry)
    total.check_ratio(source.stat().st_size)
    filled = {parent for path in tree for parent in path.parents}
    tree |= {path: "an empty folder" for path in folders if path not in filled}
    return tree


def _check_name(source: Path, name: str) -> None:
    """Refuse an image whose name leads outside the source; what is no image is skipped anyway."""
    path = PurePosixPath(name)
    elsewhere = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name)
    if elsewhere or "\\" in name or not name.isprintable():
        raise PipelineError(f"{source}: the file name {name!r} is not a plain relative path")


class _Total:
    """How much a source holds so far, held against the limits."""

    def __init__(self, source: Path, limits: Limits | None) -> None:
        self.source = source
        self.limits = limits
        self.bytes = 0

    def count(self, files: int) -> None:
        if self.limits and files > self.limits.files:
            raise PipelineError(
                f"{self.source} holds more than download.limits.files = {self.limits.files} files; "
                "raise it if that is right"
            )

    def add(self, name: str, size: int) -> None:
        self.bytes += size
        if not self.limits:
            return
        if size > self.limits.file_mb * MB:
            raise PipelineError(
                f"{self.source}: {name} has {size} bytes, more than download.limits.file_mb = "
                f"{self.limits.file_mb}; raise it if that is right"
            )
        if self.bytes > self.limits.total_mb * MB:
            raise PipelineError(
                f"{self.source}: its images have more than download.limits.total_mb = "
                f"{self.limits.total_mb}; raise it if that is right"
            )

    def check_ratio(self, packed: int) -> None:
        if self.limits and self.bytes > self.limits.ratio * packed:
            raise PipelineError(
                f"{self.source}: its images swell to {self.bytes / packed:.0f} times its size, "
                f"more than download.limits.ratio = {self.limits.ratio}; raise it if that is right"
            )


def _read_member(source: Path, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with zipped.open(entry) as file:
            # Asked for all, zipfile unpacks all that is there, whatever size was told.
            data = file.read(entry.file_size + 1)
        if len(data) != entry.file_size:
            raise zipfile.BadZipFile(f"{len(data)} bytes instead of {entry.file_size}")
        return data
    except UNSOUND as error:
        raise PipelineError(
            f"{source} is not a sound zip: {entry.filename} cannot be read: {error}"
        ) from None
