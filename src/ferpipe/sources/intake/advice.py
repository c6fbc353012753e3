"""What to write when the layout of a source cannot be told."""

from __future__ import annotations

from pathlib import Path

from ferpipe.sources.intake.listing import Tree, printable


def no_images(tree: Tree, source: Path) -> str:
    """The error of a source without images."""
    zips = [printable(path) for path in tree if path.suffix.lower() == ".zip"]
    hint = f"; it contains the zip {zips[0]}, which may: unpack that" if zips else ""
    return (
        f"{source} holds no images; it should have one folder per class, such as "
        f"happy/face1.png{hint}"
    )


def unknown_layout(tree: Tree, source: Path) -> str:
    """The error of a source whose layout cannot be told."""
    return f"{source}: the layout of its images cannot be told"
