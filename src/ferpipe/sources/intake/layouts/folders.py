"""Class folders at any depth, with official parts, subjects or sessions above or below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree
from ferpipe.sources.intake.layouts import advice, copies, pattern, places
from ferpipe.sources.intake.layouts.places import Place
from ferpipe.sources.intake.member import Found
from ferpipe.sources.intake.names import words


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images in class folders.

    Folders between class and file, and above the class, become part of the file name; official
    parts and outer folders that all images share do not.

    Raises:
        PipelineError: it is not certain which folders are the classes.
    """
    found, skipped, notes = pattern.search(tree, layout, source)
    found = _with_class(places.with_parts(found, layout, source), tree, layout, source)
    found, repeats = _one_root(found, tree, layout, source)
    members = places.members(found, tree, layout, source)
    return Found(members, [*skipped, *repeats], notes)


def _with_class(images: Sequence[Place], tree: Tree, layout: Layout, source: Path) -> list[Place]:
    """The images with their class as the label; `free` keeps the folders above it."""
    if all("label" in place.facts for place in images):
        return [place.without(set(place.free), set()) for place in images]
    outside = [place.path for place in images if not place.free]
    if 0 < len(outside) < len(images):
        raise PipelineError(
            f"{source}: {outside[0]} is in no class folder; move it into one, or set download.root "
            "to the folder that contains the class folders"
        )
    folders = [place.free_names() for place in images]
    levels = None if outside else _class_levels(folders)
    if levels is None and not outside:
        roots = copies.roots((place.path, place.free[:-1]) for place in images)
        people = any(words.like_person(name) for names in roots for name in names)
        if len(roots) > 1 and not people and copies.identical(roots, tree):
            levels = [len(names) - 1 for names in folders]
    if levels is not None and layout.kind != "folders":
        names = {names[level] for names, level in zip(folders, levels, strict=True)}
        levels = None if words.like_people(names) else levels
    if levels is None:
        raise PipelineError(advice.unknown_layout(tree, source))
    found = []
    for place, level in zip(images, levels, strict=True):
        index = place.free[level]
        below = set(place.free[level:])
        found.append(place.without(below, {index}, label=place.names[index]))
    return found


def _class_levels(folders: Sequence[tuple[str, ...]]) -> list[int] | None:
    """Which folder of each image is its class; None if that is not certain.

    Args:
        folders: the folders of each image, without wrappers and parts.
    """
    levels_of = {
        names: [i for i, name in enumerate(names) if words.expression(name)]
        for names in set(folders)
    }
    said = [levels_of[names] for names in folders]
    # Where a folder is in one of the same name, as unpacking leaves it, both say the same.
    words_said = [
        {names[level].casefold() for level in found} for names, found in levels_of.items()
    ]
    if all(len(found) == 1 for found in words_said):
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
    images: Sequence[Place], tree: Tree, layout: Layout, source: Path
) -> tuple[list[Place], list[tuple[str, str]]]:
    """One of several folders of class folders that are copies; all of those that are people."""
    roots = copies.roots((place.path, place.free) for place in images)
    if len(roots) == 1:
        return list(images), []
    if copies.identical(roots, tree):
        selected = next(iter(roots))
        kept, repeats = [], []
        for place in images:
            if place.free_names() == selected:
                kept.append(place.without(set(), set(place.free)))
            else:
                repeats.append((str(place.path), f"also in {'/'.join(selected) or '.'}"))
        return kept, repeats
    people = all(any(map(words.like_subject, names)) for names in roots)
    if people or (layout.kind == "folders" and () not in roots):
        return list(images), []
    names = ", ".join("/".join(names) or "." for names in roots)
    remedy = "" if () in roots else ", or download.layout.kind to folders to take all of them"
    raise PipelineError(
        f"{source} has class folders in several places that differ: {names}; set download.root to "
        f"one of them{remedy}"
    )
