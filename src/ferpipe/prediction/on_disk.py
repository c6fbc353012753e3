"""Files that can be read to their end, and names that can be shown in a line."""

from __future__ import annotations

import stat
import unicodedata
from pathlib import Path, PurePath

from ferpipe.core.errors import PipelineError

# More than any picture that is not refused has: 8192x8192 px of 16-bit colours and transparency.
MOST_BYTES = 2**29
# Control characters, bytes that are no UTF-8, separators of lines and paragraphs.
NOT_PLAIN = ("Cc", "Cs", "Zl", "Zp")


def check(path: str | Path) -> int:
    """The size of a file, in bytes.

    Raises:
        PipelineError: it is missing or empty, or reading it would not end.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        raise PipelineError(f"{path} cannot be read: it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise PipelineError(f"{path} cannot be read: it is a pipe or device; save it as a file")
    if not status.st_size:
        raise PipelineError(f"{path} cannot be used: empty file")
    return status.st_size


def read(path: str | Path) -> bytes:
    """The bytes of a picture; raises PipelineError as `check` does, or if it is too large."""
    if (size := check(path)) > MOST_BYTES:
        limit = f"more than {MOST_BYTES / 1e6:.0f} MB"
        raise PipelineError(f"{path} cannot be used: {size / 1e6:.0f} MB, {limit}")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}") from None


def plain(name: PurePath | str) -> str:
    """The name in one line of valid UTF-8: escapes, as in Python, for what is not."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in NOT_PLAIN else char
        for char in str(name)
    )
