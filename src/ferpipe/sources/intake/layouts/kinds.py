"""The images of a source, by the layout that `download.layout` names or that the source shows.

A module for each kind has `members(tree, layout, source) -> Found`, which raises a PipelineError if
the source is not of that kind, and NoLabels if it has no labels in files. Labels are as in the
source: `classes` turns them into class names.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import ModuleType

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree
from ferpipe.sources.intake.labels import frames, rows, table
from ferpipe.sources.intake.layouts import folders, pattern
from ferpipe.sources.intake.member import Found, NoLabels, left_out, nfc
from ferpipe.sources.intake.names import classes, words

# What `auto` tries, in this order, if the class folders are not certain.
LABELS_IN_FILES = ("frames", "rows", "table")
KINDS: dict[str, ModuleType] = {
    **{"folders": folders, "pattern": pattern, "frames": frames, "rows": rows, "table": table}
}


def members(tree: Tree, layout: Layout, root: str | None, source: Path) -> Found:
    """The images of a source, or of its folder `download.root`, each with its class."""
    inside, outside = tree, []
    if root is not None:
        inside, outside = _below(tree, layout, root, source)
    found = classes.apply(_by_kind(inside, layout, source), layout.classes, source)
    skipped = [(str(PurePosixPath(root or "", path)), reason) for path, reason in found.skipped]
    return found._replace(skipped=[*skipped, *outside])


def _by_kind(tree: Tree, layout: Layout, source: Path) -> Found:
    if layout.kind != "auto":
        return KINDS[layout.kind].members(tree, layout, source)._replace(kind=layout.kind)
    found, fault = None, None
    try:
        found = folders.members(tree, layout, source)._replace(kind="folders")
    except PipelineError as error:
        fault = error
    counts = Counter(member.label for member in found.members) if found else {}
    if len(counts) > 1 and not words.doubtful_classes(counts):
        return found
    for kind in LABELS_IN_FILES:
        with suppress(NoLabels):
            return KINDS[kind].members(tree, layout, source)._replace(kind=kind)
    if fault:
        raise fault
    return found


def _below(
    tree: Tree, layout: Layout, root: str, source: Path
) -> tuple[Tree, list[tuple[str, str]]]:
    """The files below `download.root` by their paths in it, and (path, reason) of all others.

    Class folders that are directly in it are taken without those further down.
    """
    top = PurePosixPath(nfc(PurePosixPath(root)))
    full = {path: PurePosixPath(nfc(path)) for path in tree}
    inside = {path: full[path].relative_to(top) for path in tree if full[path].is_relative_to(top)}
    if not inside:
        known = sorted({path.parts[0] for path in tree if len(path.parts) > 1})
        raise PipelineError(
            f"download.root = {root!r} is no folder of {source}; its folders: "
            f"{', '.join(known) or 'none'}"
        )
    depths = {path: len(short.parts) for path, short in inside.items() if not tree[path].skip}
    if 2 in depths.values() and layout.pattern is None and layout.kind in ("auto", "folders"):
        inside = {path: short for path, short in inside.items() if depths.get(path, 2) == 2}
    outside = left_out(tree, inside, "outside download.root")
    return {short: tree[path] for path, short in inside.items()}, outside
