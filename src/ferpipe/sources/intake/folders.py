"""Class folders at any depth, with official parts, subjects or sessions above or below them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake import advice, copies, naming, parts, pattern, words
from ferpipe.sources.intake.listing import Tree
from ferpipe.sources.intake.member import Found, nfc, not_images


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


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images in class folders.

    Folders between class and file, and above the class, become part of the file name; official
    parts and outer folders that all images share do not.

    Raises:
        PipelineError: it is not certain which folders are the classes.
    """
    images = [path for path, entry in tree.items() if not entry.skip]
    if not images:
        raise PipelineError(advice.no_images(tree, source))
    skipped, notes = [], []
    places = _places(images)
    if layout.pattern is not None:
        matches, skipped, notes = pattern.search(tree, layout, source)
        places = [_matched(place, matches[place.path]) for place in places if place.path in matches]
    places = _with_parts(places, layout, source)
    places = _without_wrapper_of_part(places)
    places = _with_class(places, tree, layout, source)
    places, repeats = _one_root(places, tree, layout, source)
    placed = [
        naming.Placed(place.path, folders=[place.names[i] for i in place.kept], **place.facts)
        for place in places
    ]
    members = naming.members(placed, tree, layout, source)
    return Found(members, [*not_images(tree), *skipped, *repeats], notes)


def _places(images: Sequence[PurePosixPath]) -> list[Place]:
    names = [tuple(map(nfc, path.parts[:-1])) for path in images]
    start = naming.wrapper(names)
    inner = [tuple(range(start, len(folders))) for folders in names]
    return [Place(*place, {}) for place in zip(images, names, inner, inner, strict=True)]


def _matched(place: Place, match: pattern.Match) -> Place:
    """A place whose pattern has told some of its folders."""
    label_and_part = match.named["label"] | match.named["part"]
    told = label_and_part | match.named["subject"] | match.named["sequence"]
    return place.without(told, label_and_part, **match.groups)


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
            f"{source}: {', '.join(sorted(known))} are official parts, but {len(none)} of "
            f"{len(places)} images are in none, such as {none[0]}; name the parts of other folders "
            "in download.layout.parts, or set download.root to the folder to read"
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


def _with_class(places: Sequence[Place], tree: Tree, layout: Layout, source: Path) -> list[Place]:
    """The places with their class as the label; `free` keeps the folders above it."""
    if all("label" in place.facts for place in places):
        return [place.without(set(place.free), set()) for place in places]
    outside = [place.path for place in places if not place.free]
    if 0 < len(outside) < len(places):
        raise PipelineError(
            f"{source}: {outside[0]} is in no class folder; move it into one, or set download.root "
            "to the folder that contains the class folders"
        )
    folders = [place.free_names() for place in places]
    levels = None if outside else _class_levels(folders)
    if levels is None and not outside:
        roots = copies.roots((place.path, place.free[:-1]) for place in places)
        people = any(words.like_person(name) for names in roots for name in names)
        if len(roots) > 1 and not people and copies.identical(roots, tree):
            levels = [len(names) - 1 for names in folders]
    if levels is not None and layout.kind != "folders":
        names = {names[level] for names, level in zip(folders, levels, strict=True)}
        levels = None if words.like_people(names) else levels
    if levels is None:
        raise PipelineError(advice.unknown_layout(tree, source))
    found = []
    for place, level in zip(places, levels, strict=True):
        index = place.free[level]
        below = set(place.free[level:])
        found.append(place.without(below, {index}, label=place.names[index]))
    return found


def _class_levels(folders: Sequence[tuple[str, ...]]) -> list[int] | None:
    """Which folder of each image is its class; None if that is not certain.

    Args:
        folders: the folders of each image, without wrappers and parts.
    """
    said = [[i for i, name in enumerate(names) if words.expression(name)] for names in folders]
    if all(len(levels) == 1 for levels in said):
        return [levels[0] for levels in said]
    last = [len(names) - 1 for names in folders]
    depth = min(map(len, folders))
    for levels in [*([level] * len(folders) for level in range(depth)), last]:
        if all(set(found) <= {level} for found, level in zip(said, levels, strict=True)):
            names = Counter(names[level] for names, level in zip(folders, levels, strict=True))
            expressions = sum(1 for name in names if words.expression(name))
            if expressions > 1 and expressions >= len(names) / 2:
                return levels
    above = {names[:-1] for names in folders}
    plain = not any(level < end for found, end in zip(said, last, strict=True) for level in found)
    people = any(words.like_person(name) for names in above for name in names)
    return last if len(above) == 1 and plain and not people else None


def _one_root(
    places: Sequence[Place], tree: Tree, layout: Layout, source: Path
) -> tuple[list[Place], list[tuple[str, str]]]:
    """One of several folders of class folders that are copies; all of those that are people."""
    roots = copies.roots((place.path, place.free) for place in places)
    if len(roots) == 1:
        return list(places), []
    if copies.identical(roots, tree):
        selected = next(iter(roots))
        shown = "/".join(selected) or "."
        repeats = [place for place in places if place.free_names() != selected]
        kept = [place for place in places if place.free_names() == selected]
        kept = [place.without(set(), set(place.free)) for place in kept]
        return kept, [(str(place.path), f"also in {shown}") for place in repeats]
    people = all(any(map(words.like_subject, names)) for names in roots)
    if people or (layout.kind == "folders" and () not in roots):
        return list(places), []
    names = ", ".join("/".join(names) or "." for names in roots)
    remedy = "" if () in roots else ", or download.layout.kind to folders to take all of them"
    raise PipelineError(
        f"{source} has class folders in several places that differ: {names}; set download.root to "
        f"one of them{remedy}"
    )
