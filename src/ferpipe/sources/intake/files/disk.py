"""The files of a folder on this machine. Links are followed; they may lead to other disks."""

from __future__ import annotations

import functools
import stat
from pathlib import Path

from ferpipe.sources.intake.files.entry import EMPTY_FOLDER, SPECIAL, Entry, Files

DANGLING = "a link to nothing"
LOOP = "a link to a folder that contains it"


def folder_files(source: Path) -> Files:
    """The files of a folder at any depth, in sorted order of each folder's names."""
    # Folder, the real folders that it is in, and the link that leads to it.
    folders: list[tuple[Path, frozenset[Path], str]] = [(source, frozenset(), "")]
    while folders:
        folder, above, link = folders.pop()
        above |= {folder.resolve()}
        below = []
        names = sorted(path.name for path in folder.iterdir())
        for name in names:
            path = folder / name
            inside = path.relative_to(source).as_posix()
            # The first link is the one that the user made in the source.
            via = link or (f"{inside} -> {path.readlink()}" if path.is_symlink() else "")
            entry = _entry(path, above, via)
            if entry is None:
                below.append((path, above, via))
            else:
                yield inside, entry
        if not names:
            yield folder.relative_to(source).as_posix(), Entry(0, None, EMPTY_FOLDER, link)
        folders += reversed(below)


def _entry(path: Path, above: frozenset[Path], link: str) -> Entry | None:
    """A file, or None if it is a folder to list; `above`: the real folders that it is in."""
    try:
        status = path.stat()
    except OSError:  # also a link to itself
        if not path.is_symlink():
            raise
        return Entry(0, None, DANGLING, link)
    if stat.S_ISDIR(status.st_mode):
        is_loop = path.is_symlink() and path.resolve() in above
        return Entry(0, None, LOOP, link) if is_loop else None
    if not stat.S_ISREG(status.st_mode):
        return Entry(0, None, SPECIAL, link)
    return Entry(status.st_size, functools.partial(path.open, "rb"), link=link)
