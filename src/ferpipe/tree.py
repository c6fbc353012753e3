"""What arrives: a zip or a folder, listed without extracting it, and the class folders in it."""

from __future__ import annotations

import functools
import hashlib
import lzma
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ferpipe import images
from ferpipe.errors import PipelineError

MAX_FILE_BYTES = 64 * 2**20
# What zipfile raises on a damaged zip, or on a compression that it does not know.
UNSOUND = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
)

# For each file its path in the source and a function that returns its bytes; None for a link or a
# special file, which is never read.
Tree = dict[PurePosixPath, Callable[[], bytes] | None]


@dataclass(frozen=True)
class Member:
    """A file of a source: its class, its name, and how to get its bytes."""

    label: str
    name: str
    read: Callable[[], bytes] = field(compare=False)

    @property
    def path(self) -> str:
        """`<label>/<name>`."""
        return f"{self.label}/{self.name}"


@contextmanager
def open_tree(source: Path) -> Iterator[Tree]:
    """List a zip or a folder.

    Yields:
        For each file its path in the source and a function that returns its bytes.

    Raises:
        PipelineError: the source is missing, is no zip, or has a member that cannot be trusted.
    """
    if source.is_dir():
        yield _folder_tree(source)
    elif source.is_file():
        try:
            zipped = zipfile.ZipFile(source)
        except UNSOUND as error:
            raise PipelineError(f"{source} is not a sound zip: {error}") from None
        with zipped:
            yield _zip_tree(source, zipped)
    else:
        raise PipelineError(f"{source} is missing; it should be a zip or a folder of class folders")


def _folder_tree(source: Path) -> Tree:
    tree: Tree = {}
    for folder, folders, names in os.walk(source):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(folder, name)
            inside = PurePosixPath(path.relative_to(source).as_posix())
            if path.is_symlink() or not path.is_file():
                tree[inside] = None  # a link may lead anywhere, also out of the folder
                continue
            _check_image(source, str(inside), path.stat().st_size)
            tree[inside] = path.read_bytes
    return tree


def _zip_tree(source: Path, zipped: zipfile.ZipFile) -> Tree:
    tree: Tree = {}
    for entry in zipped.infolist():
        if entry.is_dir():
            continue
        name = entry.filename
        path = PurePosixPath(name)
        if _is_image(path) and entry.flag_bits & 1:
            raise PipelineError(f"{source}: {name} is encrypted")
        _check_image(source, name, entry.file_size)
        if path in tree:
            raise PipelineError(f"{source}: {name} is there twice")
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        tree[path] = None if is_link else functools.partial(_read_member, source, zipped, entry)
    return tree


def _is_image(path: PurePosixPath) -> bool:
    """Whether the name is that of an image, and not of a system's own file."""
    hidden = "__MACOSX" in path.parts or any(
        part.startswith(".") and not part.startswith("..") for part in path.parts
    )
    return path.suffix.lower() in images.SUFFIXES and not hidden


def _check_image(source: Path, name: str, size: int) -> None:
    """Refuse an image by its name or size; what is no image is skipped, whatever its name."""
    path = PurePosixPath(name)
    if not _is_image(path):
        return
    if path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        raise PipelineError(f"{source}: the file name {name!r} is not a plain relative path")
    if size > MAX_FILE_BYTES:
        raise PipelineError(f"{source}: {name} has {size} bytes, too many for a face")


def _read_member(source: Path, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return zipped.read(entry)
    except UNSOUND as error:
        raise PipelineError(
            f"{source} is not a sound zip: {entry.filename} cannot be read: {error}"
        ) from None


def class_members(
    tree: Tree, root: str | None, source: Path
) -> tuple[list[Member], list[tuple[str, str]]]:
    """Find the class folders in a listing.

    Args:
        tree: what `open_tree` yields.
        root: the folder that holds the class folders; None takes the only one there is. The same
            class folders may be there more than once if their files are identical.
        source: what to name in an error.

    Returns:
        The images of the class folders, and (path, reason) of every other file.

    Raises:
        PipelineError: no class folders, images outside one, or several roots that differ.
    """
    skipped = []
    roots: dict[str, list[Member]] = defaultdict(list)
    for path, read in tree.items():
        if read is None or not _is_image(path):
            reason = "a link or a special file" if read is None else "not an image file"
            skipped.append((str(path), reason))
            continue
        if len(path.parts) < 2:
            if root is None:
                raise PipelineError(f"{source}: {path} lies in no class folder; move it into one")
            skipped.append((str(path), "outside download.root"))
            continue
        label, name = (unicodedata.normalize("NFC", part) for part in path.parts[-2:])
        roots[unicodedata.normalize("NFC", str(path.parent.parent))].append(
            Member(label, name, read)
        )
    if root is not None:
        chosen = unicodedata.normalize("NFC", str(PurePosixPath(root)))
        if chosen not in roots:
            found = ", ".join(sorted(roots)) or "none"
            raise PipelineError(
                f"download.root = {root!r} holds no class folders in {source}; "
                f"folders that do: {found}"
            )
        return roots[chosen], skipped + _elsewhere(roots, chosen, "outside download.root")
    if not roots:
        raise PipelineError(
            f"{source} holds no images; it should have one folder a class, such as happy/face1.png"
        )
    names = sorted(roots, key=lambda name: (len(name), name))
    for other in names[1:]:
        if not _same_files(roots[names[0]], roots[other]):
            raise PipelineError(
                f"{source} has class folders in several places that differ: {', '.join(names)}; "
                "set download.root to one of them"
            )
    return roots[names[0]], skipped + _elsewhere(roots, names[0], f"also in {names[0]}")


def _elsewhere(roots: dict[str, list[Member]], chosen: str, reason: str) -> list[tuple[str, str]]:
    """(path, reason) of the images below every root but the chosen one."""
    return [
        (str(PurePosixPath(name, member.path)), reason)
        for name, members in roots.items()
        if name != chosen
        for member in members
    ]


def _same_files(first: list[Member], second: list[Member]) -> bool:
    """Whether two trees hold the same names with the same bytes."""

    def digests(members: list[Member]) -> dict[str, str]:
        return {member.path: hashlib.sha256(member.read()).hexdigest() for member in members}

    return sorted(m.path for m in first) == sorted(m.path for m in second) and digests(
        first
    ) == digests(second)
