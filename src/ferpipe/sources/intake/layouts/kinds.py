"""The images of a source, by the layout that `download.layout` names or that the source shows.

A module for each kind has `members(tree, layout, source) -> Found`, which raises a PipelineError if
the source is not of that kind, and NoLabels if it has no labels in files. Labels are as in the
source: `classes` turns them into class names.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from types import ModuleType

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.labels import frames, rows, table
from ferpipe.sources.intake.layouts import folders, pattern
from ferpipe.sources.intake.member import Found, NoLabels, nfc
from ferpipe.sources.intake.names import classes, words

OUTSIDE = "outside download.root"
# What `auto` tries, in this order, if the class folders are not certain.
LABELS_IN_FILES = ("frames", "rows", "table")
KINDS: dict[str, ModuleType] = {
    **{"folders": folders, "pattern": pattern, "frames": frames, "rows": rows, "table": table}
}


def members(tree: Tree, layout: Layout, root: str | None, source: Path) -> Found:
    """The images of a source, each with its class.

    Args:
        tree: the files of the source.
        layout: the section `download.layout`.
        root: `download.root`, the folder to read, to which all paths of the layout are relative;
            None: the whole source.
        source: the zip or folder, for error messages.
    """
    skipped = []
    if root is not None:
        tree, skipped = _below(tree, layout, root, source)
    found = classes.apply(_by_kind(tree, layout, source), layout.classes, source)
    if root is not None:
        inside = [(str(PurePosixPath(root, path)), reason) for path, reason in found.skipped]
        found = found._replace(skipped=[*inside, *skipped])
    return found


def _by_kind(tree: Tree, layout: Layout, source: Path) -> Found:
    if layout.kind != "auto":
        return KINDS[layout.kind].members(tree, layout, source)._replace(kind=layout.kind)
    try:
        found, fault = folders.members(tree, layout, source)._replace(kind="folders"), None
        counts = Counter(member.label for member in found.members)
        if len(counts) > 1 and not words.doubtful_classes(counts):
            return found
    except PipelineError as error:
        found, fault = None, error
    for kind in LABELS_IN_FILES:
        try:
            return KINDS[kind].members(tree, layout, source)._replace(kind=kind)
        except NoLabels:
            continue
    if found is None:
        raise fault
    return found


def _below(
    tree: Tree, layout: Layout, root: str, source: Path
) -> tuple[Tree, list[tuple[str, str]]]:
    """The files below `download.root` by their paths in it, and (path, reason) of all others.

    Class folders that are directly in it are taken without those further down.
    """
    top = PurePosixPath(nfc(PurePosixPath(root)))
    inside = {}
    for path, entry in tree.items():
        if (full := PurePosixPath(nfc(path))).is_relative_to(top):
            inside[path] = full.relative_to(top), entry
    if not inside:
        known = sorted({path.parts[0] for path in tree if len(path.parts) > 1})
        raise PipelineError(
            f"download.root = {root!r} is no folder of {source}; its folders: "
            f"{', '.join(known) or 'none'}"
        )
    depths = {len(path.parts) for path, entry in inside.values() if not entry.skip}
    if 2 in depths and layout.pattern is None and layout.kind in ("auto", "folders"):
        inside = {
            path: (short, entry)
            for path, (short, entry) in inside.items()
            if entry.skip or len(short.parts) == 2
        }
    outside = [
        (printable(path), entry.skip or OUTSIDE)
        for path, entry in tree.items()
        if path not in inside
    ]
    return dict(inside.values()), outside
