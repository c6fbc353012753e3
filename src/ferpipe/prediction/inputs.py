"""The files that a command line names: files, folders, patterns, a list on standard input."""

from __future__ import annotations

import codecs
import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ferpipe.core.errors import PipelineError
from ferpipe.data import formats
from ferpipe.prediction import videos
from ferpipe.sources.intake.files.entry import is_hidden

STANDARD_INPUT = "-"


def pictures(names: Sequence[str]) -> Iterator[Path | PipelineError]:
    """Yield the files in the order of their names; those of a folder or pattern are sorted.

    Args:
        names: files; folders, of which the images and videos at any depth are taken; patterns such
            as `photos/*.jpg`; or `-`, which reads a name from each line of standard input.

    Yields:
        Files, whether or not they can be used; for a name without any, the error that says so.
    """
    for name in names:
        if name == STANDARD_INPUT:
            yield from _of_list(sys.stdin.buffer.read())
        elif not name or "\0" in name:
            yield PipelineError(f"{name!r} is no name of a file")
        elif os.path.isdir(name):  # noqa: PTH112 (false for a name that the system refuses)
            yield from _of_folder(Path(name))
        elif os.path.lexists(name) or not glob.has_magic(name):
            yield Path(name)
        else:
            yield from _of_pattern(name)


def _of_list(data: bytes) -> Iterator[Path | PipelineError]:
    """The files of a list, one name a line, or with NUL between them as by `find -print0`."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # of Windows PowerShell
        text = data.decode("utf-16", errors="replace")
    else:
        text = os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
    lines = text.split("\0") if "\0" in text else text.replace("\r\n", "\n").split("\n")
    names = [line for line in lines if line.strip() and line != STANDARD_INPUT]
    if not names:
        yield PipelineError("standard input names no files: give it a name in each line")
    yield from pictures(names)


def _of_folder(folder: Path) -> Iterator[Path | PipelineError]:
    """The images and videos of a folder, by their suffix or their first bytes."""
    inside = list(_inside(folder, frozenset()))
    faults = [path for path in inside if isinstance(path, PipelineError)]
    paths = sorted(path for path in inside if isinstance(path, Path))
    found = [path for path in paths if not _is_hidden(path, folder) and _is_picture(path)]
    yield from faults
    yield from found
    if not found and not faults:
        yield PipelineError(f"{folder} has no images and no videos")


def _inside(folder: Path, above: frozenset[Path]) -> Iterator[Path | PipelineError]:
    """All files below a folder; links are followed, but not to the real folders `above`."""
    above |= {folder.resolve()}
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        yield PipelineError(f"{folder} cannot be read: {error.strerror}")
        return
    for path in entries:
        if not os.path.isdir(path):  # noqa: PTH112 (false for a link to itself)
            yield path
        elif not (path.is_symlink() and path.resolve() in above):
            yield from _inside(path, above)


def _is_hidden(path: Path, folder: Path) -> bool:
    return is_hidden(PurePath(path.relative_to(folder)))


def _is_picture(path: Path) -> bool:
    """Whether the file is one by its name, or by its first bytes if these can be read."""
    if path.suffix.lower() in formats.SUFFIXES or videos.is_video(path):
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return bool(formats.detect(file.read(formats.HEAD)))
    except OSError:
        return False


def _of_pattern(pattern: str) -> Iterator[Path | PipelineError]:
    """The files that match; of a pattern that only folders match, what is in them."""
    found = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 (of any root)
    files = [path for path in found if not path.is_dir()]
    if not found:
        yield PipelineError(f"no file matches {pattern}")
    elif files:
        yield from files
    for folder in () if files else found:
        yield from _of_folder(folder)
