"""The files that a command line names: files, folders, patterns, a list on standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ferpipe.core.errors import PipelineError
from ferpipe.data import formats
from ferpipe.prediction import videos
from ferpipe.sources.intake.files.entry import is_hidden

STANDARD_INPUT = "-"


def pictures(names: Sequence[str]) -> Iterator[Path]:
    """Yield the files in the order of their names; those of a folder or pattern are sorted.

    Args:
        names: files; folders, of which the images and videos at any depth are taken; patterns such
            as `photos/*.jpg`; or `-`, which reads a name from each line of standard input.

    Raises:
        PipelineError: a name is neither, or a folder or pattern has no picture.
    """
    for name in names:
        if name == STANDARD_INPUT:
            lines = (line.rstrip("\r\n") for line in sys.stdin)
            yield from pictures([line for line in lines if line and line != STANDARD_INPUT])
        elif Path(name).is_dir():
            yield from _of_folder(Path(name))
        elif Path(name).exists() or not glob.has_magic(name):
            yield Path(name)
        else:
            yield from _of_pattern(name)


def _of_folder(folder: Path) -> Iterator[Path]:
    """The images and videos of a folder, by their suffix or their first bytes."""
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [path for path in inside if not _is_hidden(path, folder) and _is_picture(path)]
    if not found:
        raise PipelineError(f"{folder} has no images and no videos")
    yield from found


def _is_hidden(path: Path, folder: Path) -> bool:
    return is_hidden(PurePath(path.relative_to(folder)))


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in formats.SUFFIXES or videos.is_video(path):
        return True
    with path.open("rb") as file:
        return bool(formats.detect(file.read(formats.HEAD)))


def _of_pattern(pattern: str) -> Iterator[Path]:
    found = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 (of any root)
    if not found:
        raise PipelineError(f"no file matches {pattern}")
    yield from (path for path in found if path.is_file())
