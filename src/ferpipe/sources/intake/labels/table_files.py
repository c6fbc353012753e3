"""Which files of a source are tables of images and labels, and which of their columns is what."""

from __future__ import annotations

import functools
import re
from itertools import islice
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.delimited import read_rows
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.labels import tables
from ferpipe.sources.intake.labels.lookup import Images
from ferpipe.sources.intake.labels.tables import Table
from ferpipe.sources.intake.member import NoLabels, clean, several
from ferpipe.sources.intake.names import parts

SAMPLE = 20  # rows that show what is in the columns
SUFFIX = re.compile(r"(?<!/)\.(jpe?g|jpe|jfif|png|bmp|gif|tiff?|webp|p[gnp]m)$", re.IGNORECASE)


def select(tree: Tree, layout: Layout, source: Path) -> list[Table]:
    """The one table, or several of different official parts, such as train.csv and test.csv."""
    read = functools.partial(_table, tree=tree, images=Images(tree), layout=layout)
    found, faults = tables.read_all(tree, layout, read)
    if len(found) == 1:
        return found
    if not found and len(faults) == 1:
        raise NoLabels(f"{source}: {faults[0]}")
    if not found:
        first = f" ({faults[0]})" if faults else ""
        raise NoLabels(
            f"{source} has no table of images and labels, such as `path,label`{first}; name the "
            "file in download.layout.file, its columns in download.layout.columns"
        )
    for table in found:
        table.part = _part_in_name(table.path, layout)
    if len({table.part for table in found} - {""}) < len(found):
        raise several(source, "tables of labels", [table.path for table in found])
    return found


def _table(path: PurePosixPath, tree: Tree, images: Images, layout: Layout) -> Table:
    where = printable(path)
    if tree[path].open is None:
        raise PipelineError(f"{where} is {tree[path].skip}")
    sample = list(islice(read_rows(path, tree[path]), SAMPLE))
    if not sample:
        raise PipelineError(f"{where} is empty")
    width = len(sample[0])
    sample = [row for row in sample if len(row) == width]
    header = sample[0] if _is_header(sample, layout) else []
    body = sample[1:] if header else sample
    table = Table(path, header, width)
    table.name_columns(layout.columns)
    if "path" not in layout.columns:
        of_images = [n for n in range(width) if _are_images([row[n] for row in body], path, images)]
        if of_images and table.columns.get("path") not in of_images:
            table.columns["path"] = of_images[0]
    if not header:
        table.guess_columns(body[0], layout.parts)
    elif width == 2 and "path" in table.columns:
        table.columns.setdefault("label", 1 - table.columns["path"])
    for number in reversed(range(width)):  # the first column of few values may be the label
        values = {row[number] for row in body}
        if number not in table.columns.values() and 1 < len(values) <= len(body) / 2:
            table.likely["label"] = number
    table.require("path", "label")
    written = [row[table.columns["path"]] for row in body]
    found = any(images.fitting(name, path.parent) for name in written)
    if not found and images.ending(written) is None:
        few = ", ".join(written[:3])
        raise PipelineError(f"{where}: no image of the source has a path like {few}")
    return table


def _is_header(sample: list[list[str]], layout: Layout) -> bool:
    """Whether the first row has names of columns, or is the only one without a file name."""
    first = {clean(cell) for cell in sample[0]}
    if first & set(layout.columns.values()) or any(map(tables.column_of, first)):
        return True
    with_names = [any(map(SUFFIX.search, row)) for row in sample]
    return len(sample) > 1 and not with_names[0] and all(with_names[1:])


def _are_images(cells: list[str], path: PurePosixPath, images: Images) -> bool:
    """Whether cells are paths: of images of the source, or with a suffix of images."""
    return bool(cells) and all(
        "://" not in cell and (SUFFIX.search(cell) or images.fitting(cell, path.parent))
        for cell in cells
    )


def _part_in_name(path: PurePosixPath, layout: Layout) -> str:
    """The word for an official part in the name of a table, or else in its folder's."""
    for name in (path.stem, path.parent.name):
        words = [word for word in re.split(r"[\W_]+", name) if parts.known([word], layout.parts)]
        if len(words) == 1:
            return words[0]
    return ""
