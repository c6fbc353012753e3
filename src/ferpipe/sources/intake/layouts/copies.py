"""Several folders of class folders: copies of each other, people or sessions, or a question."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from ferpipe.sources.intake.files.listing import Entry, Tree
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
    return _same(found, tree, lambda entry: entry.size) and _same(found, tree, _digest)


def _same(found: Roots, tree: Tree, fact: Callable[[Entry], object]) -> bool:
    def facts(files: Mapping[tuple[str, ...], PurePosixPath]) -> dict[tuple[str, ...], object]:
        return {inner: fact(tree[path]) for inner, path in files.items()}

    first, *others = found.values()
    return all(files.keys() == first.keys() for files in others) and all(
        facts(files) == facts(first) for files in others
    )


def _digest(entry: Entry) -> str:
    return hashlib.sha256(entry.read()).hexdigest()
