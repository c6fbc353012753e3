"""Tables in a source: their columns, and their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Layout
from ferpipe.params.reader import as_yaml
from ferpipe.sources.intake.files.delimited import is_table, read_rows
from ferpipe.sources.intake.files.entry import Tree, printable
from ferpipe.sources.intake.member import clean
from ferpipe.sources.intake.names import parts

MOST = 50  # files that may be tables; data sets with a text file an image have more
# Names of columns, in lower case and without what is between words.
NAMES = {
    "path": {
        *("path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "imagename"),
        *("img", "imgpath", "imgname", "imgfile", "pth", "name", "subdirectoryfilepath"),
    },
    "label": {
        *("label", "labels", "emotion", "emotions", "expression", "class", "classname", "category"),
        *("emotionlabel", "expressionlabel", "target"),
    },
    "part": {"part", "usage", "split", "subset", "set", "partition"},
    "subject": {"subject", "subjectid", "person", "personid", "participant", "participantid"},
    "sequence": {"sequence", "sequenceid", "video", "videoid", "clip", "clipid"},
    "pixels": {"pixels", "pixel"},
}


def column_of(name: str) -> str | None:
    """What a column of that name is, such as "label"; None if that is not known."""
    key = re.sub(r"[\W_]", "", name.casefold())
    return next((what for what, names in NAMES.items() if key in names), None)


@dataclass
class Table:
    """A table: the names of its columns, none if it has no header, and which column is what."""

    path: PurePosixPath
    header: list[str]
    width: int
    columns: dict[str, int] = field(default_factory=dict)
    likely: dict[str, int] = field(default_factory=dict)  # for messages
    part: str = ""  # of all its images, as its name or folder tells

    def name_columns(self, asked: Mapping[str, str | int]) -> None:
        """Find the columns of `download.layout.columns`, and those with a known name.

        Raises:
            PipelineError: there is no such column, or two columns may be the same thing.
        """
        names = [clean(name) for name in self.header]
        for what, column in asked.items():
            if column in names:
                self.columns[what] = names.index(column)
            elif isinstance(column, int) and column < self.width:
                self.columns[what] = column
            else:
                key = f"download.layout.columns.{what} = {column!r}"
                raise PipelineError(
                    f"{printable(self.path)}: {key} is none of its columns: {self._shown()}"
                )
        for number, name in enumerate(names):
            what = column_of(name)
            if what is None or what in asked:
                continue
            # The first path counts; `path` beside `image` is common.
            if self.columns.setdefault(what, number) != number and what != "path":
                both = f"{names[self.columns[what]]!r} and {name!r} may both be the {what}"
                raise PipelineError(
                    f"{printable(self.path)}: the columns {both}; set download.layout.columns, "
                    f"such as {{{what}: {name}}}"
                )

    def guess_columns(self, row: list[str], further: Mapping[str, str]) -> None:
        """Find part and label without a header, by a row, if one column is left for each."""
        rest = [number for number in range(self.width) if number not in self.columns.values()]
        with_part = [number for number in rest if parts.known([row[number]], further)]
        if with_part and "part" not in self.columns:
            self.columns["part"] = with_part[0]
            rest.remove(with_part[0])
        if len(rest) == 1:
            self.columns.setdefault("label", rest[0])

    def require(self, *needed: str, error: type[PipelineError] = PipelineError) -> None:
        """Raise the error if a column that is needed was not found."""
        for what in needed:
            if what not in self.columns:
                example = {**self.columns, what: self.likely.get(what, 0)}
                raise error(
                    f"{printable(self.path)}: no column is known to be the {what}; set "
                    f"download.layout.columns, such as {as_yaml(example)}; its columns: "
                    f"{self._shown()}"
                )

    def _shown(self) -> str:
        return ", ".join(self.header) if self.header else f"0 to {self.width - 1}, without names"

    def rows(self, tree: Tree, source: Path, *needed: str) -> Iterator[tuple[str, dict[str, str]]]:
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
    paths = sorted(filter(is_table, tree), key=lambda path: (len(path.parts), str(path)))
    if layout.file is not None:
        paths = [path for path in tree if path == PurePosixPath(layout.file)]
        if not paths:
            raise PipelineError(f"download.layout.file = {layout.file!r} is not in the source")
    found, faults = [], []
    for path in paths[:MOST]:
        try:
            found.append(read(path))
        except PipelineError as error:
            faults.append(error)
    return found, faults
