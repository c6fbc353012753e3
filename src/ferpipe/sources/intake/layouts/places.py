"""What the path of an image tells: its folders, and the groups of `download.layout.pattern`."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree
from ferpipe.sources.intake.member import Member, nfc
from ferpipe.sources.intake.names import parts, words


class Place(NamedTuple):
    """An image's path, the names of its folders, and what is known of them.

    `free` are the indices of folders that may be its class, `kept` of those that its name keeps.
    """

    path: PurePosixPath
    names: tuple[str, ...]
    free: tuple[int, ...]
    kept: tuple[int, ...]
    facts: Mapping[str, str]  # label, part, subject and sequence, as in the source

    def free_names(self) -> tuple[str, ...]:
        """The names of the folders that may be the class."""
        return tuple(self.names[index] for index in self.free)

    def kept_names(self) -> tuple[str, ...]:
        """The names of the folders that its name keeps."""
        return tuple(self.names[index] for index in self.kept)

    def without(self, free: set[int], kept: set[int], **facts: str) -> Place:
        """The place without some of its free and kept folders, and with further facts."""
        if not facts and free.isdisjoint(self.free) and kept.isdisjoint(self.kept):
            return self
        return self._replace(
            free=_same(tuple(index for index in self.free if index not in free)),
            kept=_same(tuple(index for index in self.kept if index not in kept)),
            facts=_shared(**{**self.facts, **facts}),
        )


@functools.lru_cache
def _shared(**facts: str) -> Mapping[str, str]:
    """The facts as one object for many places: a million dictionaries take 200 MB."""
    return MappingProxyType(facts)


@functools.lru_cache
def _same(values: tuple) -> tuple:
    """The values as one object for many places."""
    return values


def place(path: PurePosixPath, match: re.Match | None) -> Place:
    """The place of an image; a folder that a group consists of is not free."""
    names = tuple(map(nfc, path.parts[:-1]))
    groups = match.groupdict() if match else {}
    facts = _shared(**{group: text for group, text in groups.items() if text})
    free, kept = [], []
    start = 0
    for index, name in enumerate(names):
        end = start + len(name)
        said = {group for group in facts if match.start(group) <= start and end <= match.end(group)}
        if not said:
            free.append(index)
        if said.isdisjoint(("label", "part")):
            kept.append(index)
        start = end + 1
    return Place(path, _same(names), _same(tuple(free)), _same(tuple(kept)), facts)


def wrapper(folders: Sequence[tuple[str, ...]]) -> int:
    """How many outer folders all images share that say nothing: no expression and no person."""
    for index, names in enumerate(zip(*folders, strict=False)):
        name = names[0]
        if set(names) != {name} or words.expression(name) or words.like_person(name):
            return index
    return min(map(len, folders), default=0)


def without_wrapper(places: Sequence[Place]) -> list[Place]:
    """The places without the outer folders that all images share."""
    outer = set(range(wrapper([place.names for place in places])))
    return [place.without(outer, outer) for place in places]


def with_parts(places: Sequence[Place], layout: Layout, source: Path) -> list[Place]:
    """The places with the official part of their folders; all have one, or none has.

    Folders of parts, and those that all images of a part share, are not free and not kept.

    Raises:
        PipelineError: an image is in two official parts, or only some images are in one.
    """
    if any("part" in place.facts for place in places):
        return _without_wrapper_of_part(places)
    names = {name for place in places for name in place.free_names()}
    parts.check_used(layout.parts, names, f"{source}, folders")
    known = parts.known(names, layout.parts)
    found = []
    for place in places:
        told = [index for index in place.free if place.names[index] in known]
        if len({known[place.names[index]] for index in told}) > 1:
            both = " and ".join(place.names[index] for index in told)
            raise PipelineError(
                f"{source}: {place.path} is in folders of two official parts, {both}; rename one, "
                "or set download.root to the folder that is right"
            )
        part = {"part": place.names[told[0]]} if told else {}
        found.append(place.without(set(told), set(told), **part))
    none = [place.path for place in found if "part" not in place.facts]
    if 0 < len(none) < len(places):
        raise PipelineError(
            f"{source}: {len(none)} of {len(places)} images are in no official part, such as "
            f"{none[0]}, others are in {', '.join(sorted(known))}; name further parts in "
            "download.layout.parts, or set download.root to the folder to read"
        )
    return _without_wrapper_of_part(found)


def _without_wrapper_of_part(places: Sequence[Place]) -> list[Place]:
    """Drop the outer folders that all images of a part share, such as train/images/."""
    by_part = defaultdict(list)
    for place in places:
        by_part[place.facts.get("part")].append(place.free_names())
    shared = {
        part: min(wrapper(names), *(max(0, len(folders) - 1) for folders in names))
        for part, names in by_part.items()
    }
    found = []
    for place in places:
        outer = set(place.free[: shared[place.facts.get("part")]])
        found.append(place.without(outer, outer))
    return found


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
