"""The images of a source and what its layout tells of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from ferpipe.sources.intake.files.listing import Tree, printable


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

    members: Sequence[Member]
    skipped: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    codes: Mapping[str, str] = {}
    kind: str = ""


def not_images(tree: Tree) -> list[tuple[str, str]]:
    """(path, reason) of the files that are no images."""
    return [(printable(path), entry.skip) for path, entry in tree.items() if entry.skip]


def nfc(name: PurePath | str) -> str:
    """A path or name in Unicode's composed form: macOS decomposes names."""
    return unicodedata.normalize("NFC", str(name))


def clean(name: str) -> str:
    """A label or part in NFC, without blanks around it: names that look the same are the same."""
    return nfc(name).strip()
