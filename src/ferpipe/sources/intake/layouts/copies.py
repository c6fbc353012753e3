"""Several folders of class folders: copies of each other, people or sessions, or a question."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from ferpipe.sources.intake.files.entry import Entry, Tree
from ferpipe.sources.intake.member import nfc

# The images of each folder of class folders: path in the source, by path in that folder.
Roots = dict[tuple[str, ...], dict[tuple[str, ...], PurePosixPath]]


def roots(above: Iterable[tuple[PurePosixPath, tuple[int, ...]]]) -> Roots:
    """Group images by the folders above their class, given as indices; the shortest first."""
    found: Roots = {}
    for path, indices in above:
        names = [nfc(name) for name in path.parts]
        inner = tuple(name for index, name in enumerate(names) if index not in indices)
        found.setdefault(tuple(names[index] for index in indices), {})[inner] = path
    return dict(sorted(found.items(), key=lambda item: (len("/".join(item[0])), item[0])))


def identical(found: Roots, tree: Tree) -> bool:
    """Whether all roots have the same files; contents are read only where the sizes are equal."""

    def same(fact: Callable[[Entry], object]) -> bool:
        first, *others = (
            {inner: fact(tree[path]) for inner, path in files.items()} for files in found.values()
        )
        return all(other == first for other in others)

    return same(lambda entry: entry.size) and same(
        lambda entry: hashlib.sha256(entry.read()).digest()
    )
