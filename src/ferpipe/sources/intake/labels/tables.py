"""Tables in a source: which column is what, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.labels.delimited import is_table, read_rows
from ferpipe.sources.intake.member import clean

MOST = 50  # files that may be tables; data sets with a text file an image have more


class Table(NamedTuple):
    """A table: its column names, none if it has no header, and which column is what."""

    path: PurePosixPath
    header: list[str]
    columns: dict[str, int]
    width: int
    part: str = ""  # of all its images, as its name or folder tells

    def rows(
        self, tree: Tree, source: Path, needed: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield where a row is, for error messages, and its cells by what they are.

        Raises:
            PipelineError: a row has another length, or nothing in a column that is needed.
        """
        rows = read_rows(self.path, tree[self.path])
        if self.header:
            next(rows)
        for number, row in enumerate(rows, start=1):
            where = f"{source}: {printable(self.path)}, row {number}"
            if len(row) != self.width:
                raise PipelineError(f"{where}: {len(row)} values for {self.width} columns")
            cells = {what: clean(row[column]) for what, column in self.columns.items()}
            for what in needed:
                if not cells[what]:
                    raise PipelineError(f"{where}: it has no {what}")
            yield where, cells


def read_all(
    tree: Tree, layout: Layout, read: Callable[[PurePosixPath], Table]
) -> tuple[list[Table], list[PipelineError]]:
    """The tables that `read` accepts, and its errors; of `layout.file` alone if it is set."""
    if layout.file is None:
        paths = sorted(filter(is_table, tree), key=lambda path: (len(path.parts), str(path)))
    else:
        paths = [PurePosixPath(layout.file)]
        if paths[0] not in tree:
            raise PipelineError(f"download.layout.file = {layout.file!r} is not in the source")
    found, faults = [], []
    for path in paths[:MOST]:
        try:
            found.append(read(path))
        except PipelineError as error:
            faults.append(error)
    return found, faults
