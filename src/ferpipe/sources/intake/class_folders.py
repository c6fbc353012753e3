"""The class folders in what arrives."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.listing import Tree, is_image, printable


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
        if isinstance(read, str) or not is_image(path):
            reason = read if isinstance(read, str) else "not an image file"
            skipped.append((printable(path), reason))
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
        zips = [path for path, _ in skipped if path.lower().endswith(".zip")]
        hint = f"; it holds the zip {zips[0]}, which may: unpack that" if zips else ""
        raise PipelineError(
            f"{source} holds no images; it should have one folder a class, such as "
            f"happy/face1.png{hint}"
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
