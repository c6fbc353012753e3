"""Sequences of frames with their labels in a parallel tree, as the owners of CK+ distribute it.

Beside `cohn-kanade-images/S005/001/S005_001_00000011.png` there is
`Emotion/S005/001/S005_001_00000011_emotion.txt`, for some sequences only. A sequence begins neutral
and ends with the expression, so its last frames have the label (Lucey et al. 2010,
doi:10.1109/CVPRW.2010.5543262).
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree, is_hidden, printable
from ferpipe.sources.intake.labels import codes
from ferpipe.sources.intake.member import Found, Member, NoLabels, clean, left_out, several

SUFFIXES = frozenset({".txt", ".lab", ".label"})
LARGEST = 1000  # bytes of a label file
Folder = tuple[str, ...]


class Frames:
    """The images outside a folder of label files."""

    def __init__(self, tree: Tree, root: PurePosixPath) -> None:
        self.root = root
        self.of: dict[Folder, list[PurePosixPath]] = defaultdict(list)  # in order of their numbers
        self._ending: dict[Folder, list[Folder]] = defaultdict(list)  # by their last folders
        self._named: dict[str, list[Folder]] = defaultdict(list)  # by the name of a frame in them
        for path, entry in tree.items():
            if not entry.skip and root not in path.parents:
                self.of[path.parent.parts].append(path)
        for folder, paths in self.of.items():
            paths.sort(key=_number)
            for stem in {path.stem for path in paths}:
                self._named[stem].append(folder)
            for start in range(len(folder)):
                self._ending[folder[start:]].append(folder)

    def folders(self, file: PurePosixPath) -> list[Folder]:
        """The folders that a label file may be about: parallel to its own, or by its name."""
        own = file.parent.relative_to(self.root).parts
        stem = re.sub("[_-]?emotion$", "", file.stem, flags=re.IGNORECASE)
        named = [] if own else self._named.get(stem, [])
        return named or self._ending.get(own or (stem,), [])

    def folder(self, file: PurePosixPath, source: Path) -> Folder:
        """The folder that a label file is about."""
        folders = self.folders(file)
        if not folders:
            raise PipelineError(
                f"{source}: the frames that {printable(file)} labels are missing; add them, or "
                "remove the label"
            )
        if len(folders) > 1:
            names = " and ".join(map("/".join, folders))
            raise PipelineError(
                f"{source}: {printable(file)} may label the frames in {names}; set download.root"
            )
        return folders[0]


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The last frames of each labelled sequence, with the subject and sequence of their folders."""
    files, frames = _label_files(tree, layout, source)
    levels = zip(*frames.of, strict=False)
    top = len(list(itertools.takewhile(lambda names: len(set(names)) == 1, levels)))
    found: dict[PurePosixPath, Member] = {}
    used: dict[Folder, PurePosixPath] = {}
    for file in files:
        folder = frames.folder(file, source)
        if used.setdefault(folder, file) != file:
            both = f"{printable(used[folder])} and {printable(file)}"
            raise PipelineError(f"{source}: {both} label the same frames; remove one of them")
        label = _read_label(tree, file, source)
        own = file.parent.relative_to(frames.root).parts or folder[top:] or folder[-1:]
        subject, sequence = own[0] if len(own) > 1 else "", "_".join(own)
        for path in frames.of[folder][-layout.last_frames :]:
            name = clean(path.name)
            if own[0] not in name:  # such as 001.png, in every sequence
                name = f"{sequence}_{name}"
            found[path] = Member(label, name, tree[path].read, "", subject, sequence)
    reason = f"not one of the last {layout.last_frames} frames of a labelled sequence"
    skipped = left_out(tree, {*found, *files}, reason)
    return codes.named(Found(list(found.values()), skipped), codes.CKPLUS)


def _label_files(tree: Tree, layout: Layout, source: Path) -> tuple[list[PurePosixPath], Frames]:
    """The files in the folder of labels, `layout.file` or one named like Emotion; the frames."""
    asked = None if layout.file is None else PurePosixPath(layout.file)
    roots = defaultdict(list)
    for path in tree:
        if path.suffix.lower() in SUFFIXES and not is_hidden(path):
            for folder in path.parents:  # the innermost first
                if folder == asked or (asked is None and folder.name.lower().startswith("emotion")):
                    roots[folder].append(path)
                    break
    found = [(files, Frames(tree, root)) for root, files in roots.items()]
    if asked is None:
        found = [(files, frames) for files, frames in found if any(map(frames.folders, files))]
    elif not found:
        raise NoLabels(f"download.layout.file = {str(asked)!r} has no label files (.txt)")
    if not found:
        raise NoLabels(
            f"{source} has no folder of label files beside its frames, such as "
            "Emotion/S005/001/S005_001_00000011_emotion.txt beside images/S005/001; name the "
            "folder in download.layout.file"
        )
    if len(found) > 1:
        raise several(source, "folders of label files", [frames.root for _, frames in found])
    return found[0]


def _number(path: PurePosixPath) -> list[tuple[int, str]]:
    """A key that sorts frame9 before frame10."""
    words = re.split(r"(\d+)", path.name)
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


def _read_label(tree: Tree, file: PurePosixPath, source: Path) -> str:
    """The only word in a label file."""
    where = f"{source}: the label file {printable(file)}"
    if tree[file].open is None or tree[file].size > LARGEST:
        raise PipelineError(f"{where} is no small text file")
    try:
        words = tree[file].read().decode("utf-8-sig").split()
    except UnicodeDecodeError:
        raise PipelineError(f"{where} is not text in UTF-8") from None
    if len(words) != 1 or not words[0].isprintable():
        raise PipelineError(f"{where} has {len(words)} words; it should have a label, such as 3.0")
    return codes.label(words[0])
