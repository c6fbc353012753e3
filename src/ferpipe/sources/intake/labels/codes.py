"""Labels that are codes: how they are written, and their names in known data sets."""

from __future__ import annotations

import re
from typing import NamedTuple

from ferpipe.sources.intake.member import Found, clean


class Codes(NamedTuple):
    """The names of the codes of a data set."""

    whose: str
    names: dict[str, str]


def _codes(whose: str, names: str, start: int = 0) -> Codes:
    return Codes(whose, {str(code): name for code, name in enumerate(names.split(), start=start)})


# CK+ in FER2013's form (ckextended.csv) has contempt, too.
FER2013 = _codes("FER2013", "angry disgust fear happy sad surprise neutral contempt")
# By the names that CK+'s class folders have.
CKPLUS = _codes("CK+", "neutral anger contempt disgust fear happy sadness surprise")
AFFECTNET = _codes(
    "AffectNet",
    "neutral happy sad surprise fear disgust anger contempt none uncertain no-face",
)
RAF_DB = _codes("RAF-DB", "surprise fear disgust happy sad anger neutral", start=1)


def label(text: str) -> str:
    """A label; of a code that is written as a float, such as 3.0 or 3.0000000e+00, the integer."""
    number = re.fullmatch(r"(\d+)\.0*(e[+-]?0+)?", text, re.ASCII | re.IGNORECASE)
    return number[1] if number else clean(text)


def named(found: Found, codes: Codes) -> Found:
    """The images with the names of their codes and a note for the user, if all labels are codes."""
    labels = {member.label for member in found.members}
    if not labels <= codes.names.keys():
        return found
    names = ", ".join(f"{label} {codes.names[label]}" for label in sorted(labels, key=int))
    note = (
        f"the labels are read as the codes of {codes.whose} ({names}); to name them otherwise, set "
        "download.layout.classes"
    )
    return found._replace(codes=codes.names, notes=[*found.notes, note])
