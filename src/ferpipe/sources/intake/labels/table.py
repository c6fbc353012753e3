"""Images whose labels are in a table beside them: CSV, TSV or text, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from ferpipe.core.errors import PipelineError
from ferpipe.data.images import ImageRefused
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.listing import Tree, printable
from ferpipe.sources.intake.labels import columns, lookup, tables
from ferpipe.sources.intake.labels.delimited import read_rows
from ferpipe.sources.intake.labels.tables import Table
from ferpipe.sources.intake.layouts import naming
from ferpipe.sources.intake.member import Found, Member, clean, nfc

FACTS = ("label", "part", "subject", "sequence")
# The codes of tables with a form of their own: AffectNet's column, RAF-DB's file.
AFFECTNET = (
    *("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    *("none", "uncertain", "no-face"),
)
RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
CODES = {
    "subDirectory_filePath": ("AffectNet", {str(n): name for n, name in enumerate(AFFECTNET)}),
    "list_patition_label": ("RAF-DB", {str(n): name for n, name in enumerate(RAF_DB, start=1)}),
}


class Row(NamedTuple):
    """A row of a table: the path as it is written there, and what the row tells of the image."""

    table: Table
    number: int  # from 1, the header not counted
    written: str
    facts: dict[str, str]


def find(tree: Tree, layout: Layout) -> PurePosixPath | None:
    """The path of a table of images and labels; None if there is none."""
    found, _ = tables.tables(tree, layout)
    return found[0].path if found else None


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images that a table lists; several tables if each is of another official part."""
    selected = tables.select(tree, layout, source)
    rows = [row for table in selected for row in _read(table, tree, source)]
    images = lookup.Images(tree)
    paths, notes = _paths(rows, images, source)
    of_path = _merged(rows, paths, source)
    placed = _placed(of_path, layout)
    found = naming.members(placed, tree, layout, source)
    missing = [row for row, path in zip(rows, paths, strict=True) if path is None]
    found += [_missing(row, number) for number, row in enumerate(missing, start=1)]
    names = ", ".join(table.path.name for table in selected)
    used = {table.path for table in selected}
    skipped = [
        (printable(path), entry.skip or f"not in {names}")
        for path, entry in tree.items()
        if path not in of_path and path not in used
    ]
    labels = {row.facts["label"] for row in rows}
    whose, codes = _codes(selected, labels)
    return Found(found, skipped, [*notes, *columns.note(labels, codes, whose)], codes)


def _read(table: Table, tree: Tree, source: Path) -> Iterator[Row]:
    rows = read_rows(table.path, tree[table.path])
    if table.header:
        next(rows)
    for number, cells in enumerate(rows, start=1):
        where = f"{source}: {printable(table.path)}, row {number}"
        if len(cells) != table.width:
            raise PipelineError(f"{where}: {len(cells)} values for {table.width} columns")
        facts = {
            what: clean(cells[table.columns[what]]) if what in table.columns else ""
            for what in FACTS
        }
        facts["label"] = columns.code(facts["label"])
        facts["part"] = facts["part"] or table.part
        written = cells[table.columns["path"]]
        for what, value in (("path", written), ("label", facts["label"])):
            if not value:
                raise PipelineError(f"{where}: it has no {what}")
        yield Row(table, number, written, facts)


def _paths(
    rows: list[Row], images: lookup.Images, source: Path
) -> tuple[list[PurePosixPath | None], list[str]]:
    """The image of each row, None if it is missing; and notes.

    Raises:
        PipelineError: a path may be several images, or more than half of the images are missing.
    """
    paths, notes = [_path(row, row.written, images, source) for row in rows], []
    if not any(paths) and (ending := images.ending([row.written for row in rows])):
        longer = [lookup.with_ending(row.written, ending) for row in rows]
        paths = [_path(row, name, images, source) for row, name in zip(rows, longer, strict=True)]
        found = next((path for path in paths if path), PurePosixPath())
        notes = [
            f"the names in {rows[0].table.path.name} are read with the ending {ending!r}, such as "
            f"{rows[paths.index(found)].written} for {found}"
            if found.name
            else ""
        ]
    missing = [row for row, path in zip(rows, paths, strict=True) if path is None]
    if 2 * len(missing) > len(rows):
        few = ", ".join(row.written for row in missing[:3])
        raise PipelineError(
            f"{source}: {len(missing)} of {len(rows)} images that {rows[0].table.path} lists are "
            f"missing, such as {few}"
        )
    return paths, notes


def _path(row: Row, written: str, images: lookup.Images, source: Path) -> PurePosixPath | None:
    found = images.fitting(written, row.table.path.parent)
    if len(found) > 1:
        several = " and ".join(map(printable, found[:2]))
        raise PipelineError(
            f"{source}: {printable(row.table.path)}, row {row.number}: {written} may be {several}; "
            "write the folders in the table, or set download.root"
        )
    return found[0] if found else None


def _merged(
    rows: list[Row], paths: list[PurePosixPath | None], source: Path
) -> dict[PurePosixPath, dict[str, str]]:
    """What is told of each image; an image may be in several rows that do not contradict."""
    first: dict[PurePosixPath, Row] = {}
    for row, path in zip(rows, paths, strict=True):
        other = first.setdefault(path, row) if path is not None else row
        for what in FACTS:
            if other.facts[what] != row.facts[what]:
                both = f"{other.facts[what] or 'none'} and {row.facts[what] or 'none'}"
                raise PipelineError(
                    f"{source}: {printable(row.table.path)}, row {row.number}: {row.written} is "
                    f"there twice, with {what} {both}; remove one of the rows"
                )
    return {path: row.facts for path, row in first.items()}


def _placed(of_path: dict[PurePosixPath, dict[str, str]], layout: Layout) -> list[naming.Placed]:
    """The images with what the table and, where it tells nothing, `layout.pattern` tell."""
    regex = re.compile(layout.pattern or "")
    folders = {path: tuple(map(nfc, path.parts[:-1])) for path in of_path}
    outer = naming.wrapper(list(folders.values()))
    placed = []
    for path, facts in of_path.items():
        match = regex.search(nfc(path))
        groups = match.groupdict(default="") if match else {}
        facts = {what: value or groups.get(what, "") for what, value in facts.items()}
        placed.append(naming.Placed(path, folders=folders[path][outer:], **facts))
    return placed


def _missing(row: Row, number: int) -> Member:
    """An image that is listed but not there; it counts as one that cannot be used."""

    def read() -> NoReturn:
        raise ImageRefused(f"{row.table.path.name} lists {row.written}, which is missing")

    return Member(row.facts["label"], f"missing-{number:05}", read)


def _codes(tables: list[Table], labels: set[str]) -> tuple[str, dict[str, str]]:
    """The data set that the tables are of, and the names of its codes; empty if it is not known."""
    for name, (whose, codes) in CODES.items():
        known = all(name in (table.path.stem, *table.header) for table in tables)
        if known and labels <= codes.keys():
            return whose, codes
    return "", {}
