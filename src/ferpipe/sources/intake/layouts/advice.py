"""What a source looks like, and what to write where its layout cannot be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ferpipe.params.reader import as_yaml
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.files.listing import ARCHIVES
from ferpipe.sources.intake.layouts import places
from ferpipe.sources.intake.member import nfc
from ferpipe.sources.intake.names import name_patterns, parts, words

SHOWN = 3  # names that stand for all
LABELS_FILES = (".csv", ".tsv", ".xlsx", ".json", ".txt", ".lst")
NAMED_FOLDERS = {"kind": "folders", "pattern": "(^|/)(?P<label>angry|happy)/"}


def no_images(tree: Tree, source: Path) -> str:
    """The error of a source without images."""
    error = (
        f"{source} holds no images; it should have one folder per class, such as happy/face1.png"
    )
    files = [path for path, entry in tree.items() if not entry.link]
    if archives := [path for path in files if path.suffix.lower() in ARCHIVES]:
        error += f"; it contains the archive {printable(archives[0])}: unpack it"
    if links := list(dict.fromkeys(entry.link for entry in tree.values() if entry.link)):
        error += f"; its links lead to no images: {printable(', '.join(links[:SHOWN]))}"
    return error


def unknown_layout(tree: Tree, source: Path) -> str:
    """The error of a source whose layout cannot be told."""
    return f"{source}: it cannot be told which class an image has: {picture(tree)}; {remedy(tree)}"


def picture(tree: Tree) -> str:
    """What is in a source: the names of folders, level by level, and an example."""
    images = _images(tree)
    folders = [path.parts[:-1] for path in images]
    levels = []
    for level in range(max(map(len, folders), default=0)):
        names = Counter(nfc(names[level]) for names in folders if len(names) > level)
        levels.append(_some(names))
    inside = f"in folders {' / '.join(levels)}" if levels else "in no folder"
    others = [printable(path) for path, entry in tree.items() if entry.skip]
    beside = f"; other files: {len(others)}, such as {others[0]}" if others else ""
    return f"it has {len(images)} images {inside}, such as {images[0]}{beside}"


def layout(tree: Tree) -> dict[str, object] | None:
    """Keys of `download.layout` that are likely right for a source whose layout is not certain."""
    images = _images(tree)
    if suggestion := name_patterns.suggest_labels(images):
        keys = {"kind": "pattern", "pattern": suggestion.pattern}
        return keys | ({"classes": suggestion.classes} if suggestion.classes else {})
    folders = [tuple(map(nfc, path.parts[:-1])) for path in images]
    levels = _class_levels(folders)
    if len(levels) != 1:
        return None
    depth = min(map(len, folders))
    names = [{names[level] for names in folders} for level in range(depth)]
    pattern = "^"
    for level in range(depth):
        people = level != levels[0] and all(map(words.like_subject, names[level]))
        group = "label" if level == levels[0] else "subject" if people else ""
        pattern += f"(?P<{group}>[^/]+)/" if group and group not in pattern else "[^/]+/"
    return {"kind": "folders", "pattern": pattern}


def remedy(tree: Tree) -> str:
    """What to set in params.yaml."""
    if keys := layout(tree):
        return f"set download.layout to {as_yaml(keys)}, if that is what its names mean"
    images = _images(tree)
    depth = min((len(path.parts) - 1 for path in images), default=0)
    files = [printable(path) for path, entry in tree.items() if _may_hold_labels(path)]
    table = (
        f"{{kind: 'table', file: {as_yaml(files[0])}}}" if len(files) == 1 else "{kind: 'table'}"
    )
    if depth == 0:
        pattern = {"kind": "pattern", "pattern": name_patterns.KNOWN[0][0]}
        example = f"labels in names like JAFFE's KA.AN1.39.tiff: {as_yaml(pattern)}"
    else:
        example = f"folders of the classes angry and happy: {as_yaml(NAMED_FOLDERS)}"
    return (
        f"say where its labels are in download.layout; a labels file: {table}; CK+'s label files: "
        f"{{kind: 'frames'}}; {example}"
    )


def _images(tree: Tree) -> list[PurePosixPath]:
    return [path for path, entry in tree.items() if not entry.skip]


def _some(names: Counter[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _may_hold_labels(path: PurePosixPath) -> bool:
    return path.suffix.lower() in LABELS_FILES and "readme" not in path.name.lower()


def _class_levels(folders: Sequence[tuple[str, ...]]) -> list[int]:
    """The levels of folders that may be classes: neither people nor numbers nor parts."""
    found = []
    for level in range(places.wrapper(folders), min(map(len, folders), default=0)):
        names = {names[level] for names in folders}
        people = any(map(words.like_subject, names)) or parts.known(names, {})
        if 1 < len(names) <= words.MANY_CLASSES and not people:
            found.append(level)
    return found
