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

import numpy as np

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import png
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.delimited import read_rows
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.labels import codes, tables
from ferpipe.sources.intake.labels.tables import Table
from ferpipe.sources.intake.member import Found, Member, NoLabels, left_out, several
from ferpipe.sources.intake.names import parts

PIXELS = re.compile(r"[\[(]?\s*(\d+[\s,;]+){15}")  # how a cell of pixels begins
BETWEEN = str.maketrans(dict.fromkeys("[](),;", " "))  # what may be between pixels


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


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images in the rows of a CSV, named by the number of their row."""
    table = _select(tree, layout, source)
    where = f"{source}: {printable(table.path)}"
    found = list(_read(table, tree, source))
    if not found:
        raise NoLabels(f"{where} has no rows")
    part_of = parts.required({member.part for member in found}, layout.parts, where)
    digits = max(5, len(str(len(found))))
    found = [
        member._replace(name=f"row-{number:0{digits}}.png", part=part_of[member.part])
        for number, member in enumerate(found, start=1)
    ]
    result = Found(found, left_out(tree, {table.path}, f"not in {table.path.name}"))
    if table.header and table.header[table.columns["label"]].lower() == "emotion":
        return codes.named(result, codes.FER2013)
    return result


def _select(tree: Tree, layout: Layout, source: Path) -> Table:
    """The one CSV that can be read."""
    read = functools.partial(_table, tree=tree, layout=layout)
    found, faults = tables.read_all(tree, layout, read)
    if len(found) == 1:
        return found[0]
    if found:
        raise several(source, "CSVs of pixels", [table.path for table in found])
    for fault in faults:
        if layout.file is not None or not isinstance(fault, NoLabels):
            raise type(fault)(f"{source}: {fault}")
    raise NoLabels(
        f"{source} has no CSV with a column of pixels, such as `emotion,pixels,Usage`; name the "
        "file in download.layout.file, its columns in download.layout.columns"
    )


def _table(path: PurePosixPath, tree: Tree, layout: Layout) -> Table:
    """The columns of a CSV; NoLabels if it has none of pixels."""
    try:
        first = next(read_rows(path, tree[path]), [])
    except PipelineError as error:
        raise NoLabels(str(error)) from None
    pixels = [number for number, cell in enumerate(first) if PIXELS.match(cell)]
    table = Table(path, [] if pixels else first, len(first))
    if pixels:
        table.columns["pixels"] = pixels[0]
    elif "pixels" not in {*layout.columns, *map(tables.column_of, first)}:
        table.require("pixels", error=NoLabels)
    table.name_columns(layout.columns)
    if pixels:
        table.guess_columns(first, layout.parts)
    table.require("label")
    return table


def _read(table: Table, tree: Tree, source: Path) -> Iterator[Member]:
    """Yield the image of each row; its name is still missing, and its part is as in the CSV."""
    spool = Spool()
    for where, cells in table.rows(tree, source, "label"):
        pixels = _parse(cells["pixels"], where)
        side = math.isqrt(pixels.size)
        if side * side != pixels.size or side == 0:
            raise PipelineError(
                f"{where}: {pixels.size} pixels are no square; rows should be gray images, such as "
                "2304 pixels for 48x48"
            )
        read = functools.partial(spool.read_png, spool.add(pixels.astype(np.uint8)), side)
        facts = (cells.get(what, "") for what in ("part", "subject", "sequence"))
        yield Member(codes.label(cells["label"]), "", read, *facts)


def _parse(text: str, where: str) -> np.ndarray:
    """The integers of a cell; raises PipelineError unless they are 0 to 255."""
    if not text.isascii() or text.encode().translate(None, b"0123456789 "):
        text = text.translate(BETWEEN)
        for word in text.split():
            if not re.fullmatch(r"\d+(\.0*)?", word, re.ASCII):
                raise PipelineError(f"{where}: the pixel {word[:20]!r} is no integer from 0 to 255")
        text = re.sub(r"\.0*", "", text)
    if not text.strip():
        return np.zeros(0, np.int64)
    values = np.fromstring(text, np.int64, sep=" ")
    if values.max() > 255:
        raise PipelineError(f"{where}: the pixel {values.max()} is more than 255")
    return values
