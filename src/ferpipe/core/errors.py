"""The exception for user errors, and the wrapper that prints it in one line."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from ferpipe.core import device_errors

# A full disk, a quota, a limit on file sizes.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# A read-only file system, or a folder of someone else.
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
REMEDIES = {
    **dict.fromkeys(NO_SPACE, "; free some space or raise the limit, then run it again"),
    errno.EROFS: "; stages write to data/, models/, reports/ and .ferpipe/: copy the checkout to a "
    "folder that can be written",
}
TRAINING = ("train", "cv_fold")  # the programs to which all remedies of a full memory apply
NOT_INSTALLED = (
    "the package {} is not installed for this Python; activate the environment "
    "(`source .venv/bin/activate`), or make it with `make venv`"
)


class PipelineError(Exception):
    """An error that the user can fix; its message names file or key, fault and remedy in a line."""


def one_line(error: BaseException) -> str:
    """The message of an error, with white space folded."""
    return " ".join(str(error).split()) or type(error).__name__


def exits_cleanly(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a program's `main` to print user errors in one line, and exit with code 1.

    `PipelineError`, `OSError`, a package that is not installed, a full memory and what TensorFlow
    lacks become `name: error: message` on stderr; Ctrl-C exits with 130. Other exceptions are
    defects of ours and keep their traceback.
    With FERPIPE_TRACEBACK=1 in the environment every error shows its traceback first.
    """

    def decorate(main: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(main)
        def wrapped(*args: object, **kwargs: object) -> None:
            try:
                main(*args, **kwargs)
            except ModuleNotFoundError as error:
                if (error.name or "ferpipe").partition(".")[0] == "ferpipe":
                    raise  # a defect of ours
                _end(name, error, NOT_INSTALLED.format(error.name))
            except (PipelineError, OSError) as error:
                remedy = REMEDIES.get(getattr(error, "errno", None), "")
                _end(name, error, f"{one_line(error)}{remedy}")
            except Exception as error:
                if (message := device_errors.explain(error, training=name in TRAINING)) is None:
                    raise
                _end(name, error, message)
            except KeyboardInterrupt:
                print(f"{name}: interrupted", file=sys.stderr)
                sys.exit(128 + signal.SIGINT)

        return wrapped

    return decorate


def _end(name: str, error: BaseException, message: str) -> NoReturn:
    if os.environ.get("FERPIPE_TRACEBACK") == "1":
        cause: BaseException | None = error
        while cause is not None:  # show also what `raise ... from None` hides
            cause.__suppress_context__ = False
            cause = cause.__context__
        traceback.print_exception(error)
    print(f"{name}: error: {message}", file=sys.stderr)
    sys.exit(1)
