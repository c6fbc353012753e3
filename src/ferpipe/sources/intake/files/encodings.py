"""File names of archives that do not say their encoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError

KEY = "download.layout.name_encoding"
LIKELY = ("gbk", "shift_jis", "euc-kr", "big5", "cp1252", "cp437")
SHOWN = 2  # names that an error shows in each encoding


def decode_names(source: Path, names: Sequence[bytes], encoding: str | None) -> list[str]:
    """The names as text, all in one encoding; None: UTF-8, which other text is not by chance.

    Raises:
        PipelineError: a name is not in that encoding.
    """
    try:
        return [name.decode(encoding or "utf-8") for name in names]
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise PipelineError(
                f"{source}: the file name {error.object!r} is not in {KEY} = {encoding!r}; "
                f"{_readings(names)}"
            ) from None
    raise PipelineError(
        f"{source} does not say how its file names are encoded; set {KEY} to the encoding in which "
        f"they are right; {_readings(names)}"
    )


def _readings(names: Sequence[bytes]) -> str:
    """Some names in each likely encoding of all of them."""
    readings: dict[str, str] = {}  # encoding by what is read in it
    for encoding in LIKELY:
        try:
            texts = [name.decode(encoding).replace("\\", "/") for name in names]
        except UnicodeDecodeError:
            continue
        parts = (part for text in texts for part in PurePosixPath(text).parts)
        foreign = [part for part in dict.fromkeys(parts) if not part.isascii()]
        if all(map(str.isprintable, foreign)):
            readings.setdefault(", ".join(foreign[:SHOWN]), encoding)
    return "; ".join(f"{encoding}: {shown}" for shown, encoding in readings.items())
