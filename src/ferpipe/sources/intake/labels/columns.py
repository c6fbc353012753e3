"""Which column of a table is the path, the label, the official part and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.member import clean
from ferpipe.sources.intake.names import parts

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


def known(name: str) -> str | None:
    """What a column of that name is, such as "label"; None if that is not known."""
    key = re.sub(r"[\W_]", "", name.casefold())
    return next((what for what, names in NAMES.items() if key in names), None)


def numbers(
    header: Sequence[str], width: int, asked: Mapping[str, str | int], where: str
) -> dict[str, int]:
    """The number of each column that is named in params or has a known name.

    Args:
        header: the names of the columns; empty if the table has none.
        width: the number of columns.
        asked: `download.layout.columns`.
        where: the table, for error messages.

    Raises:
        PipelineError: there is no such column, or two columns may be the same thing.
    """
    names = [clean(name) for name in header]
    found = {}
    for what, column in asked.items():
        if column in names:
            found[what] = names.index(column)
        elif isinstance(column, int) and column < width:
            found[what] = column
        else:
            key = f"download.layout.columns.{what} = {column!r}"
            raise PipelineError(f"{where}: {key} is none of its columns: {_shown(header, width)}")
    for number, name in enumerate(names):
        what = known(name)
        if what is None or what in asked:
            continue
        if what in found and what == "path":  # the first; `path` beside `image` is common
            continue
        if what in found:
            both = f"{names[found[what]]!r} and {name!r}"
            remedy = f"set download.layout.columns, such as {{{what}: {name}}}"
            raise PipelineError(f"{where}: the columns {both} may both be the {what}; {remedy}")
        found[what] = number
    return found


def guess(found: dict[str, int], first: Sequence[str], further: Mapping[str, str]) -> None:
    """Add part and label to the columns of a table without header, if one is left for each.

    Args:
        found: the columns that are known.
        first: the first row.
        further: `download.layout.parts`.
    """
    rest = [number for number in range(len(first)) if number not in found.values()]
    with_part = [number for number in rest if parts.known([first[number]], further)]
    if with_part and "part" not in found:
        found["part"] = with_part[0]
        rest.remove(with_part[0])
    if len(rest) == 1:
        found.setdefault("label", rest[0])


def require(
    needed: str, found: Mapping[str, int], header: Sequence[str], width: int, where: str
) -> None:
    """Raise a PipelineError if the column that is needed was not found."""
    if needed not in found:
        raise PipelineError(unknown(needed, header, width, where))


def unknown(needed: str, header: Sequence[str], width: int, where: str) -> str:
    """The error of a table without a column that is needed."""
    return (
        f"{where}: no column is known to be the {needed}; set download.layout.columns, such as "
        f"{{{needed}: 0}}; its columns: {_shown(header, width)}"
    )


def code(cell: str) -> str:
    """A label; of a code that is written as a float, such as 3.0 or 3.0000000e+00, the integer."""
    number = re.fullmatch(r"(\d+)\.0*(e[+-]?0+)?", cell, re.ASCII | re.IGNORECASE)
    return number[1] if number else clean(cell)


def note(labels: Iterable[str], codes: Mapping[str, str], whose: str) -> list[str]:
    """A note for the user that labels are codes, and how they are named."""
    if not codes:
        return []
    names = ", ".join(f"{label} {codes[label]}" for label in sorted(set(labels), key=int))
    remedy = "to name them otherwise, set download.layout.classes"
    return [f"the labels are read as the codes of {whose} ({names}); {remedy}"]


def _shown(header: Sequence[str], width: int) -> str:
    return ", ".join(header) if header else f"0 to {width - 1}, without names"
