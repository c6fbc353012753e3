"""Images as rows of a CSV: a column of gray pixels and a column of labels, as in fer2013.csv.

The CSV is read once, row by row. Its pixels go to a temporary file, so that memory stays small
however long the CSV is, and the images can be read in any order.
"""

from __future__ import annotations

import functools
import math
import re
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import png
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.listing import Entry, Tree, printable
from ferpipe.sources.intake.labels import columns
from ferpipe.sources.intake.labels.delimited import is_table, read_rows
from ferpipe.sources.intake.member import Found, Member, clean
from ferpipe.sources.intake.names import parts

# FER2013's codes. CK+ in the same form (ckextended.csv) has contempt, too.
NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
CODES = {str(code): name for code, name in enumerate(NAMES)}
PIXELS = re.compile(r"[\[(]?\s*(\d+[\s,;]+){15}")  # how a cell of pixels begins
BETWEEN = str.maketrans(dict.fromkeys("[](),;", " "))  # what may be between pixels


class Form(NamedTuple):
    """The names of a CSV's columns, none if it has no header, and which column is what."""

    header: list[str]
    columns: dict[str, int]
    width: int


class Spool:
    """A temporary file of pixels; it has no name, so that nothing is left however a run ends."""

    def __init__(self) -> None:
        paths.CACHE.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=paths.CACHE)  # noqa: SIM115 (closed with the spool)
        weakref.finalize(self, self._file.close)

    def add(self, pixels: np.ndarray) -> int:
        """Write the pixels at the end; returns where they begin."""
        start = self._file.seek(0, 2)
        self._file.write(pixels.tobytes())
        return start

    def read_png(self, start: int, side: int) -> bytes:
        """The pixels at `start` as a PNG."""
        self._file.seek(start)
        pixels = np.frombuffer(self._file.read(side * side), np.uint8)
        return png.encode(pixels.reshape(side, side))


def find(tree: Tree, layout: Layout) -> PurePosixPath | None:
    """The path of a CSV that has a column of pixels; None if there is none."""
    return next(iter(_forms(tree, layout)), None)


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images in the rows of a CSV, named by the number of their row."""
    path, form = _select(_forms(tree, layout), source)
    where = f"{source}: {printable(path)}"
    found = list(_read(path, tree[path], form, where))
    known = parts.required({member.part for member in found}, layout.parts, where)
    if len(set(known.values()) - {""}) < 2:  # one part of a data set tells nothing
        known = dict.fromkeys(known, "")
    digits = max(5, len(str(len(found))))
    found = [
        member._replace(name=f"row-{number:0{digits}}.png", part=known[member.part])
        for number, member in enumerate(found, start=1)
    ]
    skipped = [
        (printable(name), entry.skip or f"not in {path.name}")
        for name, entry in tree.items()
        if name != path
    ]
    names_emotions = bool(form.header) and form.header[form.columns["label"]].lower() == "emotion"
    labels = {member.label for member in found}
    codes = CODES if names_emotions and labels <= CODES.keys() else {}
    return Found(found, skipped, columns.note(labels, codes, "FER2013"), codes)


def _forms(tree: Tree, layout: Layout) -> dict[PurePosixPath, Form | PipelineError]:
    """The form of each CSV with a column of pixels, or why it cannot be read."""
    candidates = filter(is_table, tree)
    if layout.file is not None:
        candidates = [PurePosixPath(layout.file)]
        if candidates[0] not in tree:
            raise PipelineError(f"download.layout.file = {layout.file!r} is not in the source")
    forms = {}
    for path in candidates:
        try:
            form = _form(path, tree[path], layout)
        except PipelineError as error:
            form = error
        if form is not None:
            forms[path] = form
    return forms


def _form(path: PurePosixPath, entry: Entry, layout: Layout) -> Form | None:
    """The form of a CSV; None if it has no column of pixels."""
    try:
        first = next(read_rows(path, entry), [])
    except PipelineError:
        if layout.file is None:
            return None
        raise
    pixels = [number for number, cell in enumerate(first) if PIXELS.match(cell)]
    header = [] if pixels else first
    where = printable(path)
    found = columns.numbers(header, len(first), layout.columns, where)
    if pixels:
        found.setdefault("pixels", pixels[0])
        others = [number for number in range(len(first)) if number not in found.values()]
        with_part = [number for number in others if parts.known([first[number]], layout.parts)]
        if with_part and "part" not in found:
            found["part"] = with_part[0]
            others.remove(with_part[0])
        if len(others) == 1:
            found.setdefault("label", others[0])
    if "pixels" not in found and layout.file is None:
        return None
    columns.require("pixels", found, header, len(first), where)
    columns.require("label", found, header, len(first), where)
    return Form(header, found, len(first))


def _select(
    forms: dict[PurePosixPath, Form | PipelineError], source: Path
) -> tuple[PurePosixPath, Form]:
    """The one CSV that can be read."""
    readable = {path: form for path, form in forms.items() if isinstance(form, Form)}
    if len(readable) == 1:
        return readable.popitem()
    if readable:
        raise PipelineError(
            f"{source} has several CSVs of pixels: {', '.join(map(printable, readable))}; set "
            "download.layout.file to one of them"
        )
    for error in forms.values():
        raise PipelineError(f"{source}: {error}")
    raise PipelineError(
        f"{source} has no CSV with a column of pixels, such as `emotion,pixels,Usage`; name the "
        "file in download.layout.file, its columns in download.layout.columns"
    )


def _read(path: PurePosixPath, entry: Entry, form: Form, where: str) -> Iterator[Member]:
    """Yield the image of each row; its name is still missing, and its part is as in the CSV."""
    spool = Spool()
    rows = read_rows(path, entry)
    if form.header:
        next(rows)
    for number, row in enumerate(rows, start=1):
        here = f"{where}, row {number}"
        if len(row) != form.width:
            raise PipelineError(f"{here}: {len(row)} values for {form.width} columns")
        cells = {what: clean(row[column]) for what, column in form.columns.items()}
        if not cells["label"]:
            raise PipelineError(f"{here}: it has no label")
        pixels = _parse(cells["pixels"], here)
        side = math.isqrt(pixels.size)
        if side * side != pixels.size or side == 0:
            raise PipelineError(
                f"{here}: {pixels.size} pixels are no square; rows should be gray images, such as "
                "2304 pixels for 48x48"
            )
        read = functools.partial(spool.read_png, spool.add(pixels.astype(np.uint8)), side)
        facts = (cells.get(what, "") for what in ("part", "subject", "sequence"))
        yield Member(columns.code(cells["label"]), "", read, *facts)


def _parse(text: str, here: str) -> np.ndarray:
    """The integers of a cell; raises PipelineError unless they are 0 to 255."""
    if not text.isascii() or text.encode().translate(None, b"0123456789 "):
        text = text.translate(BETWEEN)
        for word in text.split():
            if not re.fullmatch(r"\d+(\.0*)?", word, re.ASCII):
                raise PipelineError(f"{here}: the pixel {word[:20]!r} is no integer from 0 to 255")
        text = re.sub(r"\.0*", "", text)
    if not text.strip():
        return np.zeros(0, np.int64)
    values = np.fromstring(text, np.int64, sep=" ")
    if values.max() > 255:
        raise PipelineError(f"{here}: the pixel {values.max()} is more than 255")
    return values
