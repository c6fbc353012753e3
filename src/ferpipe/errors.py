"""The one exception that a user is meant to see, and the wrapper that prints it."""

from __future__ import annotations

import errno
import functools
import signal
import sys
from collections.abc import Callable

# What a full disk, a quota and a limit on file sizes are called.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PipelineError(Exception):
    """Something that the user can mend: bad input, bad params, a missing file.

    Its message is one line that names the file or key, what is wrong and the remedy.
    """


def one_line(error: BaseException) -> str:
    """The error's message with line breaks and runs of blanks folded to one space."""
    return " ".join(str(error).split()) or type(error).__name__


def exits_cleanly(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Wrap a program's `main` so that what a user can mend ends in one line and exit code 1.

    Args:
        name: what stands before the message, such as "split".

    Returns:
        A decorator. A `PipelineError` or an `OSError` (no such file, no space left) becomes
        `name: error: message` on stderr and exit code 1; Ctrl-C becomes exit code 130. Any other
        exception is a defect of ours and keeps its traceback.
    """

    def decorate(main: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(main)
        def wrapped(*args: object, **kwargs: object) -> None:
            try:
                main(*args, **kwargs)
            except (PipelineError, OSError) as error:
                print(f"{name}: error: {one_line(error)}{_remedy(error)}", file=sys.stderr)
                sys.exit(1)
            except KeyboardInterrupt:
                print(f"{name}: interrupted", file=sys.stderr)
                sys.exit(128 + signal.SIGINT)

        return wrapped

    return decorate


def _remedy(error: BaseException) -> str:
    """What helps where a disk, a quota or a limit is full; nothing half-written stays."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return "; free some space or raise the limit, then run it again"
    return ""
