"""What a source looks like, and what to write where its layout cannot be told."""

from __future__ import annotations

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
    others = [path for path in files if tree[path].open]
    if others and not archives and not links:
        error += f"; other files: {len(others)}, such as {printable(others[0])}"
    return error


def unknown_layout(tree: Tree, source: Path) -> str:
    """The error of a source whose layout cannot be told: what is in it, and what to set."""
    images = _images(tree)
    folders = [path.parts[:-1] for path in images]
    levels = []
    for level in range(max(map(len, folders))):
        names = sorted({nfc(names[level]) for names in folders if len(names) > level})
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        levels.append(", ".join(names[:SHOWN]) + more)
    inside = f"in folders {' / '.join(levels)}" if levels else "in no folder"
    others = [printable(path) for path, entry in tree.items() if entry.skip]
    beside = f"; other files: {len(others)}, such as {others[0]}" if others else ""
    return (
        f"{source}: it cannot be told which class an image has: it has {len(images)} images "
        f"{inside}, such as {images[0]}{beside}; {_remedy(tree, in_folders=all(folders))}"
    )


def _remedy(tree: Tree, in_folders: bool) -> str:
    if keys := layout(tree):
        return f"set download.layout to {as_yaml(keys)}, if that is what its names mean"
    files = [
        printable(path)
        for path in tree
        if path.suffix.lower() in LABELS_FILES and "readme" not in path.name.lower()
    ]
    # Tables whose columns have known names are found without being asked for.
    file = {"file": files[0]} if len(files) == 1 else {}
    table = {"kind": "table", **file, "columns": {"path": 0, "label": 1}}
    if in_folders:
        example = f"folders of the classes angry and happy: {as_yaml(NAMED_FOLDERS)}"
    else:
        pattern = {"kind": "pattern", "pattern": name_patterns.KNOWN[0][0]}
        example = f"labels in names like JAFFE's KA.AN1.39.tiff: {as_yaml(pattern)}"
    return (
        f"say where its labels are in download.layout; a labels file: {as_yaml(table)}; CK+'s "
        f"label files: {{kind: 'frames'}}; {example}"
    )


def layout(tree: Tree) -> dict[str, object] | None:
    """Keys of `download.layout` that are likely right for a source whose layout is not certain."""
    images = _images(tree)
    if keys := name_patterns.suggest_labels(images):
        return keys
    folders = [tuple(map(nfc, path.parts[:-1])) for path in images]
    levels = [set(names) for names in zip(*folders, strict=False)]
    classes = [
        level
        for level, names in enumerate(levels)
        if level >= places.wrapper(folders)
        and 1 < len(names) <= words.MANY_CLASSES
        and not any(map(words.like_subject, names))
        and not parts.known(names, {})
    ]
    if len(classes) != 1:
        return None
    people = [level for level, names in enumerate(levels) if all(map(words.like_subject, names))]
    groups = {classes[0]: "(?P<label>[^/]+)/"} | dict.fromkeys(people[:1], "(?P<subject>[^/]+)/")
    pattern = "".join(groups.get(level, "[^/]+/") for level in range(len(levels)))
    return {"kind": "folders", "pattern": f"^{pattern}"}


def _images(tree: Tree) -> list[PurePosixPath]:
    return [path for path, entry in tree.items() if not entry.skip]
