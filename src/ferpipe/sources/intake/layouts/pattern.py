"""Labels, subjects, sequences and official parts in paths, by a regular expression."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import LAYOUT_GROUPS, Layout
from ferpipe.sources.intake.files.listing import Tree
from ferpipe.sources.intake.layouts import naming
from ferpipe.sources.intake.member import Found, nfc, not_images

KEY = "download.layout.pattern"


class Match(NamedTuple):
    """What the pattern tells of an image.

    `groups` has the text of each group that is not empty; `named` are the indices of the folders
    that a group consists of, by group.
    """

    groups: dict[str, str]
    named: dict[str, set[int]]


NOTHING = Match({}, {name: set() for name in LAYOUT_GROUPS})


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images whose path has a label."""
    if layout.pattern is None or "label" not in re.compile(layout.pattern).groupindex:
        raise PipelineError(
            f"{KEY} should have the group (?P<label>...), because download.layout.kind is "
            "'pattern'; `ferpipe inspect` suggests patterns"
        )
    matches, skipped, notes = search(tree, layout, source)
    wrapper = set(range(naming.wrapper([_folders(path) for path in matches])))
    placed = []
    for path, match in matches.items():
        dropped = wrapper | match.named["label"] | match.named["part"]
        kept = [name for index, name in enumerate(_folders(path)) if index not in dropped]
        placed.append(naming.Placed(path, folders=kept, **match.groups))
    members = naming.members(placed, tree, layout, source)
    return Found(members, [*not_images(tree), *skipped], notes)


def search(
    tree: Tree, layout: Layout, source: Path
) -> tuple[dict[PurePosixPath, Match], list[tuple[str, str]], list[str]]:
    """The images that match, by path; (path, reason) of those left out; notes.

    An image that matches without a label, where the pattern has that group, is left out on purpose.

    Raises:
        PipelineError: more than half of the images do not match, or none has a label.
    """
    regex = re.compile(layout.pattern)
    images = [path for path, entry in tree.items() if not entry.skip]
    found = {path: regex.search(nfc(path)) for path in images}
    missing = [path for path in images if not found[path]]
    matches = {path: _match(path, match) for path, match in found.items() if match}
    unlabelled = []
    if "label" in regex.groupindex:
        unlabelled = [path for path, match in matches.items() if "label" not in match.groups]
        matches = {path: matches[path] for path in matches if "label" in matches[path].groups}
    if len(missing) > len(images) / 2 or not matches:
        count = len(missing) + (len(unlabelled) if not matches else 0)
        example = [*missing, *unlabelled, PurePosixPath("none")][0]
        raise PipelineError(
            f"{source}: {count} of {len(images)} images do not match {KEY} = {layout.pattern!r}, "
            f"such as {example}; change it, or end it with `|$` to leave all others out"
        )
    skipped = [(str(path), f"does not match {KEY}") for path in missing]
    skipped += [(str(path), f"has no label by {KEY}") for path in unlabelled]
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} of {len(images)} images do not match {KEY} and are left out, such as "
            f"{missing[0]}"
        )
    return matches, skipped, notes


def _match(path: PurePosixPath, match: re.Match) -> Match:
    groups = {name: text for name, text in match.groupdict(default="").items() if text}
    named = {name: set() for name in LAYOUT_GROUPS}
    start = 0
    for index, folder in enumerate(_folders(path)):
        end = start + len(folder)
        for name in groups:
            if match.start(name) <= start and end <= match.end(name):
                named[name].add(index)
        start = end + 1
    return Match(groups, named)


def _folders(path: PurePosixPath) -> tuple[str, ...]:
    return tuple(map(nfc, path.parts[:-1]))
