"""The images of a source and what its layout tells of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.files.entry import Tree, printable


class NoLabels(PipelineError):
    """A source has no labels of the kind that a layout reads."""


class Member(NamedTuple):
    """An image of a source.

    Its label (after `classes.apply` its class), its file name in the canonical archive, a function
    that returns its bytes, and what the source's layout tells of its official part (train, val,
    test), subject and sequence; "" if it tells nothing.
    """

    label: str
    name: str
    read: Callable[[], bytes]
    part: str = ""
    subject: str = ""
    sequence: str = ""

    @property
    def path(self) -> str:
        """`<label>/<name>`."""
        return f"{self.label}/{self.name}"


class Found(NamedTuple):
    """The images of a source as a layout finds them.

    `skipped` has (path, reason) of every file that is neither an image nor read for its labels,
    `notes` are one-line warnings for the user, and `codes` names the labels that the format itself
    defines, such as {"0": "angry"}; `download.layout.classes` comes first. `kind` is that of the
    layout.
    """

    members: list[Member]
    skipped: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    codes: Mapping[str, str] = {}
    kind: str = ""


def left_out(tree: Tree, used: Collection[PurePath], reason: str) -> list[tuple[str, str]]:
    """(path, reason) of the files that are not used: `reason`, or why they are no images."""
    return [
        (printable(path), entry.skip or reason) for path, entry in tree.items() if path not in used
    ]


def not_images(tree: Tree) -> list[tuple[str, str]]:
    """(path, reason) of the files that are no images."""
    return [(printable(path), entry.skip) for path, entry in tree.items() if entry.skip]


def several(source: Path, what: str, paths: Collection[PurePath]) -> PipelineError:
    """The error of a source in which several files or folders may hold the labels."""
    return PipelineError(
        f"{source} has several {what}: {', '.join(map(printable, paths))}; set "
        "download.layout.file to one of them"
    )


def nfc(name: PurePath | str) -> str:
    """A path or name in Unicode's composed form: macOS decomposes names."""
    return unicodedata.normalize("NFC", str(name))


def clean(name: str) -> str:
    """A label or part in NFC, without blanks around it: names that look the same are the same."""
    return nfc(name).strip()
