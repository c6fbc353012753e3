"""The images of a source, by the layout that `download.layout` names or that the source shows.

A module for each kind has `members(tree, layout, source) -> Found`, which raises a PipelineError if
the source is not of that kind; those of labels in files also have `find(tree, layout)`, the path of
the file or folder with the labels, None if there is none. Labels are as in the source: `classes`
turns them into class names.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake import classes, folders
from ferpipe.sources.intake.listing import Tree
from ferpipe.sources.intake.member import Found

OUTSIDE = "outside download.root"
# By `kind`; what `auto` tries if the class folders are not certain, in this order.
LABELS_IN_FILES: dict = {}  # {"frames": frames, "rows": rows, "table": table}
KINDS: dict = {"folders": folders, **LABELS_IN_FILES}


def members(tree: Tree, layout: Layout, root: str | None, source: Path) -> Found:
    """The images of a source, each with its class.

    Args:
        tree: the files of the source.
        layout: the section `download.layout`.
        root: `download.root`, the folder to read; None: all.
        source: the zip or folder, for error messages.
    """
    below, outside = _below(tree, root, source)
    found = _found(below, layout, source)
    found = found._replace(skipped=[*found.skipped, *outside])
    return classes.apply(found, layout.classes, source)


def _found(tree: Tree, layout: Layout, source: Path) -> Found:
    if layout.kind != "auto":
        return KINDS[layout.kind].members(tree, layout, source)
    try:
        return folders.members(tree, layout, source)
    except PipelineError:
        for kind in LABELS_IN_FILES.values():
            if kind.find(tree, layout) is not None:
                return kind.members(tree, layout, source)
        raise


def _below(tree: Tree, root: str | None, source: Path) -> tuple[Tree, list[tuple[str, str]]]:
    raise NotImplementedError(PurePosixPath)
