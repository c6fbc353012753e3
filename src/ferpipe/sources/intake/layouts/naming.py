"""File names in the canonical archive, which has no folders below the classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree
from ferpipe.sources.intake.layouts.places import Place
from ferpipe.sources.intake.member import Member, nfc
from ferpipe.sources.intake.names import parts


def members(places: Sequence[Place], tree: Tree, layout: Layout, source: Path) -> list[Member]:
    """The images by the names `<folder>_<file>`, so that `split.name_pattern` reads folders too.

    The official part comes first in the names if files of two parts would have the same name.
    """
    told = [place.facts.get("part", "") for place in places]
    part_of = parts.required(told, layout.parts, f"{source}, official parts")
    names = ["_".join([*place.kept_names(), nfc(place.path.name)]) for place in places]
    labels = [place.facts["label"] for place in places]
    paths = list(zip(labels, map(str.casefold, names), strict=True))
    if len(set(zip(paths, told, strict=True))) > len(set(paths)):
        prefixes = [f"{part.replace('/', '_')}_" if part else "" for part in told]
        names = [prefix + name for prefix, name in zip(prefixes, names, strict=True)]
    return [
        Member(
            *(label, name, tree[place.path].read, part_of[part]),
            *(place.facts.get("subject", ""), place.facts.get("sequence", "")),
        )
        for place, label, name, part in zip(places, labels, names, told, strict=True)
    ]
