"""The class folders of a source."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.listing import Tree, hint, printable

OUTSIDE = "outside download.root"


class Member(NamedTuple):
    """An image of a source.

    Its class, its file name in the canonical archive, a function that returns its bytes, and what
    the source's layout tells of its official part (train, val, test), subject and sequence; "" if
    it tells nothing.
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


def class_members(
    tree: Tree, root: str | None, source: Path
) -> tuple[list[Member], list[tuple[str, str]]]:
    """The images in the class folders of a source, and (path, reason) of every other file.

    Args:
        tree: the files of the source.
        root: the folder that contains the class folders; None finds it. Several are accepted if
            they have identical files.
        source: the zip or folder, for error messages.
    """
    skipped = []
    roots: dict[str, list[Member]] = defaultdict(list)
    for path, entry in tree.items():
        if entry.skip:
            skipped.append((printable(path), entry.skip))
        elif len(path.parts) >= 2:
            folder, label, name = map(_nfc, (str(path.parent.parent), *path.parts[-2:]))
            roots[folder].append(Member(label, name, entry.read))
        elif root is None:
            raise PipelineError(f"{source}: {path} is in no class folder; move it into one")
        else:
            skipped.append((str(path), OUTSIDE))
    if not roots and root is None:
        raise PipelineError(
            f"{source} holds no images; it should have one folder per class, such as "
            f"happy/face1.png{hint(tree)}"
        )
    selected = _select_root(roots, root, source)
    reason = f"also in {selected}" if root is None else OUTSIDE
    for folder, members in roots.items():
        if folder != selected:
            skipped += [(str(PurePosixPath(folder, member.path)), reason) for member in members]
    return roots[selected], skipped


def _select_root(roots: Mapping[str, list[Member]], root: str | None, source: Path) -> str:
    """The root that params ask for, or the shortest if all have the same files."""
    if root is not None:
        selected = _nfc(str(PurePosixPath(root)))
        if selected not in roots:
            raise PipelineError(
                f"download.root = {root!r} contains no class folders in {source}; "
                f"folders that do: {', '.join(sorted(roots)) or 'none'}"
            )
        return selected
    names = sorted(roots, key=lambda name: (len(name), name))
    if len(names) > 1 and len({_content(members) for members in roots.values()}) > 1:
        raise PipelineError(
            f"{source} has class folders in several places that differ: {', '.join(names)}; "
            "set download.root to one of them"
        )
    return names[0]


def _content(members: list[Member]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((m.path, hashlib.sha256(m.read()).hexdigest()) for m in members))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
