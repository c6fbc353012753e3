"""The images of a source by the paths that a table gives them."""

from __future__ import annotations

import bisect
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from ferpipe.sources.intake.files.listing import Tree
from ferpipe.sources.intake.member import nfc

ENOUGH = 200  # paths that show a common ending


class Images:
    """The images of a source.

    A path in a table fits an image if they are equal, from the source or from the table's folder.
    Otherwise it fits the images whose path ends with it, or that it ends with, as tables often have
    names without folders or the folders of another machine.
    """

    def __init__(self, tree: Tree) -> None:
        self._paths = {nfc(path): path for path, entry in tree.items() if not entry.skip}
        self._names = sorted({nfc(path.name) for path in self._paths.values()})
        self._named = defaultdict(list)
        for path in self._paths.values():
            self._named[nfc(path.name).casefold()].append(path)

    def fitting(self, written: str, folder: PurePosixPath) -> list[PurePosixPath]:
        """The images that a path in a table in `folder` fits; several if it does not tell which."""
        parts = _parts(written)
        if not parts:
            return []
        exact = {"/".join(parts), "/".join((*map(nfc, folder.parts), *parts))} & self._paths.keys()
        if exact:
            return [self._paths[path] for path in sorted(exact)]
        alike = [path for path in self._named[parts[-1].casefold()] if _ends_alike(path, parts)]
        same_case = [path for path in alike if nfc(path.name) == parts[-1]]
        return same_case or alike

    def ending(self, written: Sequence[str]) -> str | None:
        """What all files have after the name, without suffix, that a table gives them.

        RAF-DB lists train_00001.jpg for the file train_00001_aligned.jpg; other tables list names
        without a suffix, or with that of another format. None if there is no such ending.
        """
        stems = [_stem(path) for path in written if _parts(path)][:ENOUGH]
        endings = Counter()
        for stem in stems:
            start = bisect.bisect_left(self._names, stem)
            end = bisect.bisect_left(self._names, f"{stem}\U0010ffff")
            rest = {name.removeprefix(stem) for name in self._names[start:end]}
            endings.update(name for name in rest if not name[:1].isalnum())
        common = [ending for ending, count in endings.items() if count > len(stems) / 2]
        return common[0] if len(common) == 1 else None


def with_ending(written: str, ending: str) -> str:
    """The path with the ending after its name, in place of its suffix."""
    return "/".join((*_parts(written)[:-1], _stem(written) + ending))


def _stem(written: str) -> str:
    return re.sub(r"\.[A-Za-z0-9]{1,5}$", "", _parts(written)[-1])


def _parts(written: str) -> tuple[str, ...]:
    """The folders and the name of a path of any system, without its drive and root."""
    path = PurePosixPath(nfc(written).replace("\\", "/"))
    return tuple(part for part in path.parts if part not in ("/", "//", "..", "."))


def _ends_alike(path: PurePosixPath, parts: tuple[str, ...]) -> bool:
    """Whether one path ends with the other, in any case."""
    shared = min(len(path.parts), len(parts))
    pairs = zip(path.parts[-shared:], parts[-shared:], strict=True)
    return all(nfc(one).casefold() == other.casefold() for one, other in pairs)
