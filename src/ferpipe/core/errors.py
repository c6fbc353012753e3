"""The one exception that a user is meant to see, and the wrapper that prints it."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

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
        A decorator. A `PipelineError`, an `OSError` (no such file, no space left) or a package that
        is not installed becomes `name: error: message` on stderr and exit code 1; Ctrl-C becomes
        exit code 130. Any other exception is a defect of ours and keeps its traceback. With
        FERPIPE_TRACEBACK=1 in the environment every error shows its traceback first.
    """

    def decorate(main: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(main)
        def wrapped(*args: object, **kwargs: object) -> None:
            try:
                main(*args, **kwargs)
            except ModuleNotFoundError as error:
                if (error.name or "ferpipe").partition(".")[0] == "ferpipe":
                    raise  # a mistyped import of our own
                _end(name, error, _not_installed(error.name))
            except (PipelineError, OSError) as error:
                _end(name, error, f"{one_line(error)}{_remedy(error)}")
            except KeyboardInterrupt:
                print(f"{name}: interrupted", file=sys.stderr)
                sys.exit(128 + signal.SIGINT)

        return wrapped

    return decorate


def _end(name: str, error: BaseException, message: str) -> NoReturn:
    if os.environ.get("FERPIPE_TRACEBACK") == "1":
        cause: BaseException | None = error
        while cause is not None:  # also what `raise ... from None` hides
            cause.__suppress_context__ = False
            cause = cause.__context__
        traceback.print_exception(error)
    print(f"{name}: error: {message}", file=sys.stderr)
    sys.exit(1)


def _not_installed(package: str | None) -> str:
    return (
        f"the package {package} is not installed for this Python; activate the environment "
        "(`source .venv/bin/activate`), or make it with `make venv`"
    )


def _remedy(error: BaseException) -> str:
    """What helps where a disk, a quota or a limit is full; nothing half-written stays."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return "; free some space or raise the limit, then run it again"
    return ""
