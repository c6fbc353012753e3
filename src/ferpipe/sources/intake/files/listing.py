"""The files of a source, a folder, zip, tar or text file, without extracting anything.

No source is trusted: names, sizes and the number of files are checked before any image is read, no
member is read beyond its declared size, and links in an archive are not followed.
"""

from __future__ import annotations

import functools
import io
import posixpath
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import formats
from ferpipe.params.download import Limits
from ferpipe.sources.intake.files.archives import files_in
from ferpipe.sources.intake.files.disk import folder_files
from ferpipe.sources.intake.files.entry import (
    MB,
    NOT_AN_IMAGE,
    Entry,
    Files,
    Tree,
    check_limit,
    is_hidden,
    printable,
)

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
TABLES = (".csv", ".tsv")


@contextmanager
def open_tree(source: Path, limits: Limits, name_encoding: str | None = None) -> Iterator[Tree]:
    """List the files of a source; they can be read while the block lasts.

    Args:
        source: a folder, zip or tar, which may contain one archive with the images; or a text
            file such as a CSV, the only file of its tree.
        limits: see params.yaml.
        name_encoding: encoding of file names in an archive that does not say UTF-8.
    """
    if not source.is_dir() and not source.is_file():
        raise PipelineError(
            f"{source} is missing; it should be a folder with one folder per class, or a zip, tar "
            "or CSV"
        )
    with ExitStack() as stack:

        def tree_of(name: Path, path: Path) -> Tree:
            """The tree of the file at `path`, which errors name `name`."""
            found = files_in(name, path, limits, name_encoding, stack)
            return _checked_tree(name, found, limits, path.stat().st_size)

        if source.is_dir():
            tree = _checked_tree(source, folder_files(source), limits)
        else:
            tree = tree_of(source, source)
        if (path := _only_archive(tree)) is not None:
            copied = stack.enter_context(files.scratch(paths.CACHE / "nested")) / path.name
            _copy(source, path, tree.pop(path), limits, copied)
            tree |= {path / inner: entry for inner, entry in tree_of(source / path, copied).items()}
        tree = dict(sorted(tree.items()))
        yield tree


def _only_archive(tree: Tree) -> PurePosixPath | None:
    """The only archive of a source that has neither images nor tables, which thus are in it."""
    suffixes = {path: path.suffix.lower() for path in tree if not is_hidden(path)}
    if any(not entry.skip for entry in tree.values()) or set(suffixes.values()) & set(TABLES):
        return None
    archives = [path for path, suffix in suffixes.items() if suffix in ARCHIVES]
    return archives[0] if len(archives) == 1 and tree[archives[0]].open else None


def _copy(source: Path, path: PurePosixPath, entry: Entry, limits: Limits, target: Path) -> None:
    """Copy a file of the source to `target`."""
    check_limit(source, limits, "total_mb", entry.size / MB, f": {printable(path)} is too large")
    with entry.open() as packed, target.open("wb") as copied:
        shutil.copyfileobj(packed, copied)


def _checked_tree(source: Path, found: Files, limits: Limits, packed: int | None = None) -> Tree:
    """Collect the files, and check names and limits; only images count towards the sizes.

    `packed` is the size of the archive that they are in, None for a folder.
    """
    tree: Tree = {}
    total = 0
    for name, entry in found:
        path = PurePosixPath(name)
        if path in tree:
            raise PipelineError(f"{source}: {printable(path)} is there twice")
        check_limit(source, limits, "files", len(tree) + 1, " has too many files")
        tree[path] = entry = entry._replace(skip=entry.skip or _why_skip(path, entry))
        if entry.skip:
            if entry.open and packed is not None:
                opened = functools.partial(_open_other, source, name, entry, limits, packed)
                tree[path] = entry._replace(open=opened)
            continue
        outside = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name)
        if outside or "\\" in name or not name.isprintable():
            raise PipelineError(f"{source}: the file name {name!r} is not a plain relative path")
        total += entry.size
        check_limit(source, limits, "file_mb", entry.size / MB, f": {name} has {entry.size} bytes")
        check_limit(source, limits, "total_mb", total / MB, ": its images are too large together")
    if packed is not None:
        ratio = total / packed
        fault = f": its images unpack to {ratio:.0f} times its size"
        check_limit(source, limits, "ratio", ratio, fault)
    return tree


def _open_other(
    source: Path, name: str, entry: Entry, limits: Limits, packed: int
) -> io.BufferedIOBase:
    """Open a file of labels or an archive in an archive: its size counts only if it is read."""
    fault = f": {name} unpacks to {entry.size} bytes"
    check_limit(source, limits, "total_mb", entry.size / MB, fault)
    check_limit(source, limits, "ratio", entry.size / packed, fault)
    return entry.open()


def _why_skip(path: PurePosixPath, entry: Entry) -> str:
    """Why a file is no image to take, "" if its suffix or its first bytes are those of one."""
    if is_hidden(path):
        return NOT_AN_IMAGE
    name = str(path)
    suffixes = (posixpath.splitext(end)[1].lower() for end in (name, name.partition("\0")[0]))
    if not formats.SUFFIXES.isdisjoint(suffixes):
        return ""
    try:
        is_image = entry.size > 0 and formats.detect(entry.head(formats.HEAD))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if is_image else NOT_AN_IMAGE
