"""The files of a source, a zip or a folder, without extracting anything or following links.

No source is trusted: names, sizes, links and the number of files are checked before any file is
read, and no member is read beyond its declared size.
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

from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Limits

MB = 10**6
# Other methods are refused: bzip2 and xz unpack a kilobyte to gigabytes in one step.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SPECIAL = "a link or a special file"  # which may lead anywhere, or block the reader

# For each file of a source: a function that returns its bytes, or why it is never read.
Reader = Callable[[], bytes] | str
Tree = dict[PurePosixPath, Reader]
Files = Iterator[tuple[str, int, Reader]]  # name in the source, size in bytes


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
            yield inside.as_posix(), 0, "an empty folder"
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            readable = path.is_file() and not path.is_symlink()
            size = path.stat().st_size if readable else 0
            yield (inside / name).as_posix(), size, path.read_bytes if readable else SPECIAL


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
        read = functools.partial(_read_member, source, zipped, entry)
        yield name, entry.file_size, SPECIAL if special else read
    for path in dict.fromkeys(folders):
        if path not in filled:
            yield str(path), 0, "an empty folder"


def _checked_tree(source: Path, files: Files, limits: Limits) -> Tree:
    """Collect the files, and check names and limits; only images count towards the sizes."""

    def check(value: float, key: str, fault: str) -> None:
        limit = getattr(limits, key)
        if value > limit:
            more = f"more than download.limits.{key} = {limit}"
            raise PipelineError(f"{source}{fault}, {more}; raise it if the source is as intended")

    tree: Tree = {}
    total = 0
    for name, size, read in files:
        path = PurePosixPath(name)
        if path in tree:
            raise PipelineError(f"{source}: {printable(path)} is there twice")
        tree[path] = read
        check(len(tree), "files", " has too many files")
        image = is_image(path) or is_image(PurePosixPath(name.partition("\0")[0]))
        if isinstance(read, str) or not image:
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


def _read_member(source: Path, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
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
        return data
    except DAMAGED as error:
        damage = f"{entry.filename} cannot be read: {error}"
        raise PipelineError(f"{source} is not a valid zip: {damage}") from None
