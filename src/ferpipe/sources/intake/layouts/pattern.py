"""Labels, subjects, sequences and official parts in paths, by a regular expression."""

from __future__ import annotations

import re
from pathlib import Path

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree
from ferpipe.sources.intake.layouts import advice, places
from ferpipe.sources.intake.layouts.places import Place
from ferpipe.sources.intake.member import Found, nfc, not_images

KEY = "download.layout.pattern"


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images whose path has a label."""
    if "label" not in re.compile(layout.pattern or "").groupindex:
        raise PipelineError(
            f"{KEY} should have the group (?P<label>...), because download.layout.kind is "
            "'pattern'; `ferpipe inspect` suggests patterns"
        )
    found, skipped, notes = search(tree, layout, source)
    return Found(places.members(found, tree, layout, source), skipped, notes)


def search(
    tree: Tree, layout: Layout, source: Path
) -> tuple[list[Place], list[tuple[str, str]], list[str]]:
    """The images that match, without outer folders; (path, reason) of all others; notes.

    All match if there is no pattern. An image that matches without a label, where the pattern has
    that group, is left out on purpose.

    Raises:
        PipelineError: more than half of the images do not match, or none has a label.
    """
    regex = re.compile(layout.pattern or "")
    images = [path for path, entry in tree.items() if not entry.skip]
    if not images:
        raise PipelineError(advice.no_images(tree, source))
    missing, unlabelled, found = [], [], []
    for path in images:
        match = regex.search(nfc(path))
        if not match:
            missing.append(path)
        elif "label" in regex.groupindex and not match["label"]:
            unlabelled.append(path)
        else:
            found.append(places.place(path, match))
    if 2 * len(missing) > len(images) or not found:
        none = missing if found else [*missing, *unlabelled]
        raise PipelineError(
            f"{source}: {len(none)} of {len(images)} images do not match {KEY} = "
            f"{layout.pattern!r}, such as {none[0]}; change it, or end it with `|$` to leave all "
            "others out"
        )
    skipped = [(str(path), f"does not match {KEY}") for path in missing]
    skipped += [(str(path), f"has no label by {KEY}") for path in unlabelled]
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} of {len(images)} images do not match {KEY} and are left out, such as "
            f"{missing[0]}"
        )
    return places.without_wrapper(found), [*not_images(tree), *skipped], notes
