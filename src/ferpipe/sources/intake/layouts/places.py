"""The folders of each image, without outer folders and official parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.layouts import naming
from ferpipe.sources.intake.layouts.pattern import Match
from ferpipe.sources.intake.member import nfc
from ferpipe.sources.intake.names import parts


class Place(NamedTuple):
    """An image's path, the names of its folders, and what is known of them.

    `free` are the indices of folders that may be its class, `kept` of those that its name keeps.
    """

    path: PurePosixPath
    names: tuple[str, ...]
    free: tuple[int, ...]
    kept: tuple[int, ...]
    facts: dict[str, str]  # label, part, subject and sequence

    def free_names(self) -> tuple[str, ...]:
        """The names of the folders that may be the class."""
        return tuple(self.names[index] for index in self.free)

    def without(self, free: set[int], kept: set[int], **facts: str) -> Place:
        """The place without some of its free and kept folders, and with further facts."""
        return self._replace(
            free=tuple(index for index in self.free if index not in free),
            kept=tuple(index for index in self.kept if index not in kept),
            facts={**self.facts, **facts},
        )


def find(matches: dict[PurePosixPath, Match], layout: Layout, source: Path) -> list[Place]:
    """The folders of images, without outer folders that all images, or those of a part, share.

    Args:
        matches: what `download.layout.pattern` tells of each image.
        layout: the section `download.layout`.
        source: the zip or folder, for error messages.

    Raises:
        PipelineError: an image is in two official parts, or only some images are in one.
    """
    names = [tuple(map(nfc, path.parts[:-1])) for path in matches]
    start = naming.wrapper(names)
    places = []
    for (path, match), folders in zip(matches.items(), names, strict=True):
        inner = tuple(range(start, len(folders)))
        label_and_part = match.named["label"] | match.named["part"]
        told = label_and_part | match.named["subject"] | match.named["sequence"]
        place = Place(path, folders, inner, inner, {})
        places.append(place.without(told, label_and_part, **match.groups))
    return _without_wrapper_of_part(_with_parts(places, layout, source))


def _with_parts(places: Sequence[Place], layout: Layout, source: Path) -> list[Place]:
    """The places with the official part of their folders; all have one, or none has."""
    if any("part" in place.facts for place in places):
        return list(places)
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
    return found


def _without_wrapper_of_part(places: Sequence[Place]) -> list[Place]:
    """Drop the outer folders that all images of a part share, such as train/images/."""
    by_part = defaultdict(list)
    for place in places:
        by_part[place.facts.get("part", "")].append(place.free_names())
    shared = {
        part: min(naming.wrapper(names), *(max(0, len(folders) - 1) for folders in names))
        for part, names in by_part.items()
    }
    found = []
    for place in places:
        outer = set(place.free[: shared[place.facts.get("part", "")]])
        found.append(place.without(outer, outer))
    return found
