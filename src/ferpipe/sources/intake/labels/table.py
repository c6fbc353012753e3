"""Images whose labels are in a table beside them: CSV, TSV or text, with or without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from ferpipe.core.errors import PipelineError
from ferpipe.data.images import ImageRefused
from ferpipe.params.download import LAYOUT_GROUPS, Layout
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.labels import codes, lookup, table_files
from ferpipe.sources.intake.labels.tables import Table
from ferpipe.sources.intake.layouts import places
from ferpipe.sources.intake.member import Found, Member, left_out, nfc

# What tells the data set that a table is of: the name of a column, or of the file.
KNOWN = {"subDirectory_filePath": codes.AFFECTNET, "list_patition_label": codes.RAF_DB}


class Row(NamedTuple):
    """A row of a table: the path as it is written there, and what the row tells of the image."""

    table: Table
    where: str  # for error messages
    written: str
    facts: dict[str, str]


def members(tree: Tree, layout: Layout, source: Path) -> Found:
    """The images that a table lists; several tables if each is of another official part."""
    tables = table_files.select(tree, layout, source)
    rows = [row for table in tables for row in _read(table, tree, source)]
    paths, notes = _paths(rows, lookup.Images(tree), source)
    facts = _merged(rows, paths)
    regex = re.compile(layout.pattern or "")
    placed = [
        # What the table tells comes before what the pattern tells.
        places.place(path, regex.search(nfc(path))).without(
            set(), set(), **{what: told for what, told in of_row.items() if told}
        )
        for path, of_row in facts.items()
    ]
    found = places.members(places.without_wrapper(placed), tree, layout, source)
    missing = [row for row, path in zip(rows, paths, strict=True) if path is None]
    found += [_missing(row, number) for number, row in enumerate(missing, start=1)]
    names = ", ".join(table.path.name for table in tables)
    skipped = left_out(tree, {*facts, *(table.path for table in tables)}, f"not in {names}")
    result = Found(found, skipped, notes)
    for name, of_known in KNOWN.items():
        if all(name in (table.path.stem, *table.header) for table in tables):
            return codes.named(result, of_known)
    return result


def _read(table: Table, tree: Tree, source: Path) -> Iterator[Row]:
    for where, cells in table.rows(tree, source, "path", "label"):
        facts = {what: cells.get(what, "") for what in LAYOUT_GROUPS}
        facts["label"] = codes.label(facts["label"])
        facts["part"] = facts["part"] or table.part
        yield Row(table, where, cells["path"], facts)


def _paths(
    rows: list[Row], images: lookup.Images, source: Path
) -> tuple[list[PurePosixPath | None], list[str]]:
    """The image of each row, None if it is missing; and notes.

    Raises:
        PipelineError: a path may be several images, or more than half of the images are missing.
    """
    names = [row.written for row in rows]
    paths, notes = [_path(row, row.written, images) for row in rows], []
    ending = None if any(paths) else images.ending(names)
    if ending:
        paths = [_path(row, lookup.with_ending(row.written, ending), images) for row in rows]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if 2 * len(missing) > len(rows):
        raise PipelineError(
            f"{source}: {len(missing)} of {len(rows)} images that {rows[0].table.path} lists are "
            f"missing, such as {', '.join(missing[:3])}"
        )
    if ending:
        name, path = next(pair for pair in zip(names, paths, strict=True) if pair[1])
        notes = [
            f"the names in {rows[0].table.path.name} are read with the ending {ending!r}, such as "
            f"{name} for {path}"
        ]
    return paths, notes


def _path(row: Row, written: str, images: lookup.Images) -> PurePosixPath | None:
    found = images.fitting(written, row.table.path.parent)
    if len(found) > 1:
        several = " and ".join(map(printable, found[:2]))
        raise PipelineError(
            f"{row.where}: {written} may be {several}; write the folders in the table, or set "
            "download.root"
        )
    return found[0] if found else None


def _merged(
    rows: list[Row], paths: list[PurePosixPath | None]
) -> dict[PurePosixPath, dict[str, str]]:
    """What is told of each image; an image may be in several rows that do not contradict."""
    facts: dict[PurePosixPath, dict[str, str]] = {}
    for row, path in zip(rows, paths, strict=True):
        first = row.facts if path is None else facts.setdefault(path, row.facts)
        for what, told in row.facts.items():
            if first[what] != told:
                raise PipelineError(
                    f"{row.where}: {row.written} is there twice, with {what} "
                    f"{first[what] or 'none'} and {told or 'none'}; remove one of the rows"
                )
    return facts


def _missing(row: Row, number: int) -> Member:
    """An image that is listed but not there; it counts as one that cannot be used."""

    def read() -> NoReturn:
        raise ImageRefused(f"{row.table.path.name} lists {row.written}, which is missing")

    return Member(row.facts["label"], f"missing-{number:05}", read)
