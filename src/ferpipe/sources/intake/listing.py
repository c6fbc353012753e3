"""The files of a source, a folder, zip, tar or text file, without extracting anything.

No source is trusted: names, sizes and the number of files are checked before any image is read, no
member is read beyond its declared size, and links in an archive are not followed.
"""

from __future__ import annotations

import functools
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.data import formats
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Limits
from ferpipe.sources.intake import tars
from ferpipe.sources.intake.disk import folder_files
from ferpipe.sources.intake.entry import (
    MB,
    NOT_AN_IMAGE,
    Entry,
    Files,
    Tree,
    check_limit,
    printable,
)
from ferpipe.sources.intake.zips import zip_files

HEAD = 4096  # bytes that tell what kind of file a source is
SHOWN = 3  # links that an error names
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
UNREADABLE = {b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive"}


@contextmanager
def open_tree(source: Path, limits: Limits, name_encoding: str | None = None) -> Iterator[Tree]:
    """List the files of a source; they can be read while the block lasts.

    Args:
        source: a folder, zip, tar, or a text file such as a CSV, which is the only file of its
            tree.
        limits: see params.yaml.
        name_encoding: encoding of file names in an archive that does not say UTF-8.
    """
    with ExitStack() as stack:
        yield _checked_tree(source, _files(source, limits, name_encoding, stack), limits)


def hint(tree: Tree) -> str:
    """What may be wrong with a source without images, "" or beginning with `; `."""
    archives = [
        printable(path)
        for path, entry in tree.items()
        if path.suffix.lower() in ARCHIVES and not entry.link
    ]
    links = list(dict.fromkeys(entry.link for entry in tree.values() if entry.link))
    hint = f"; it contains the archive {archives[0]}: unpack that" if archives else ""
    if links:
        shown = ", ".join(printable(PurePosixPath(link)) for link in links[:SHOWN])
        hint += f"; its links lead to no images: {shown}"
    return hint


def _files(source: Path, limits: Limits, name_encoding: str | None, stack: ExitStack) -> Files:
    if source.is_dir():
        return folder_files(source)
    if not source.is_file():
        raise PipelineError(
            f"{source} is missing; it should be a folder with one folder per class, or a zip, tar "
            "or CSV"
        )
    with source.open("rb") as file:
        head = file.read(HEAD)
    if any(head.startswith(start) for start in tars.COMPRESSED):
        folder = stack.enter_context(files.scratch(paths.CACHE / "unpacked"))
        unpacked = folder / source.stem
        tars.decompress(source, limits, unpacked)
        with unpacked.open("rb") as file:
            head = file.read(HEAD)
        return _file(source, unpacked, head, limits, name_encoding, stack)
    return _file(source, source, head, limits, name_encoding, stack)


def _file(
    source: Path,
    path: Path,
    head: bytes,
    limits: Limits,
    name_encoding: str | None,
    stack: ExitStack,
) -> Files:
    """The files of a file at `path` that begins with `head`; errors name `source`."""
    # A tar may end with a zip, so that it would be taken for one.
    if tars.is_tar(head):
        tar = stack.enter_context(tarfile.TarFile(path, encoding="utf-8"))
        return tars.tar_files(source, tar, limits, name_encoding)
    is_text = bool(head) and (b"\0" not in head or head.startswith(UTF_16))
    if head.startswith(b"PK") or (not is_text and zipfile.is_zipfile(path)):
        try:
            zipped = stack.enter_context(zipfile.ZipFile(path))
        except DAMAGED as error:
            raise PipelineError(f"{source} is not a valid zip: {one_line(error)}") from None
        return zip_files(source, zipped, name_encoding)
    if is_text and not formats.detect(head):
        return iter([(path.name, Entry(path.stat().st_size, functools.partial(path.open, "rb")))])
    found = formats.detect(head)
    kinds = [kind for start, kind in UNREADABLE.items() if head.startswith(start)]
    what = kinds[0] if kinds else f"a {found} image" if found else "of no kind that is read"
    raise PipelineError(f"{source} is {what}; it should be a folder, a zip, a tar or a CSV")


def _checked_tree(source: Path, found: Files, limits: Limits) -> Tree:
    """Collect the files, and check names and limits; only images count towards the sizes."""
    tree: Tree = {}
    total = 0
    for name, entry in found:
        path = PurePosixPath(name)
        if path in tree:
            raise PipelineError(f"{source}: {printable(path)} is there twice")
        check_limit(source, limits, "files", len(tree) + 1, " has too many files")
        tree[path] = entry = entry._replace(skip=entry.skip or _why_skip(name, entry))
        if entry.skip:
            continue
        outside = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name)
        if outside or "\\" in name or not name.isprintable():
            raise PipelineError(f"{source}: the file name {name!r} is not a plain relative path")
        total += entry.size
        check_limit(source, limits, "file_mb", entry.size / MB, f": {name} has {entry.size} bytes")
        check_limit(source, limits, "total_mb", total / MB, ": its images are too large together")
    if source.is_file():
        ratio = total / source.stat().st_size
        check_limit(
            source, limits, "ratio", ratio, f": its images unpack to {ratio:.0f} times its size"
        )
    return dict(sorted(tree.items()))


def _why_skip(name: str, entry: Entry) -> str:
    """Why a file is no image to take, "" if its suffix or its first bytes are those of one."""
    path = PurePosixPath(name)
    if any(re.match(r"__MACOSX$|\.(?!\.)", part) for part in path.parts):
        return NOT_AN_IMAGE
    suffixes = {path.suffix.lower(), PurePosixPath(name.partition("\0")[0]).suffix.lower()}
    if suffixes & formats.SUFFIXES:
        return ""
    try:
        is_image = entry.size > 0 and formats.detect(entry.head(formats.HEAD))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if is_image else NOT_AN_IMAGE
