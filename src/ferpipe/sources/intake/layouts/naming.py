"""File names in the canonical archive, which has no folders below the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.listing import Tree
from ferpipe.sources.intake.member import Member, nfc
from ferpipe.sources.intake.names import parts, words


class Placed(NamedTuple):
    """An image whose place in the layout is known.

    `folders` are those that become part of its name, `part` is as in the source.
    """

    path: PurePosixPath
    label: str
    folders: Sequence[str] = ()
    part: str = ""
    subject: str = ""
    sequence: str = ""


def wrapper(folders: Sequence[tuple[str, ...]]) -> int:
    """How many outer folders all images share that say nothing: no expression and no person.

    Args:
        folders: the names of the folders of each image.
    """
    for index, names in enumerate(zip(*folders, strict=False)):
        name = names[0]
        if set(names) != {name} or words.expression(name) or words.like_person(name):
            return index
    return min(map(len, folders), default=0)


def members(placed: Sequence[Placed], tree: Tree, layout: Layout, source: Path) -> list[Member]:
    """The images by the names `<folder>_<file>`, so that `split.name_pattern` reads folders too.

    The official part comes first in the names if files of two parts would have the same name.
    """
    where = f"{source}, official parts"
    part_of = parts.required((image.part for image in placed), layout.parts, where)
    names = ["_".join([*image.folders, nfc(image.path.name)]) for image in placed]
    alone = Counter((p.label, n.casefold()) for p, n in zip(placed, names, strict=True))
    in_part = {(p.label, n.casefold(), p.part) for p, n in zip(placed, names, strict=True)}
    if len(in_part) > len(alone):
        prefixes = [p.part.replace("/", "_") + "_" if p.part else "" for p in placed]
        names = [prefix + name for prefix, name in zip(prefixes, names, strict=True)]
    if len(set(part_of.values()) - {""}) < 2:  # one part of a data set tells nothing
        part_of = dict.fromkeys(part_of, "")
    return [
        Member(p.label, name, tree[p.path].read, part_of[p.part], p.subject, p.sequence)
        for p, name in zip(placed, names, strict=True)
    ]
