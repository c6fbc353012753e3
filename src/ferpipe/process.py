"""A stage as a process: alone in its checkout, gone when DVC is gone, its time noted.

DVC, killed, leaves its stage running, and the next `dvc repro` starts another one beside it
(measured with DVC 3.67). So a stage ends with the process that started it, and holds a lock.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ferpipe import files, runs
from ferpipe.errors import PipelineError, Stopped, exits_cleanly

LOCKS = files.CACHE / "locks"
WAIT = 60.0  # seconds; a predecessor that was told to end needs a moment
# A second signal within so many seconds belongs to the first: a group is signalled and DVC dies.
SAME = 5.0
AGAIN = 0.05  # seconds after which a stop that was dropped is tried again
PR_SET_PDEATHSIG = 1


def run(stage: str, options: dict[str, int]) -> None:
    """Run a stage; every way it can end is an exit code, and a line where it did not end well.

    Args:
        stage: the name of its module.
        options: what its `main` takes.

    Raises:
        SystemExit: 1 for what the user can mend, 128 + n after signal n.
    """
    started = time.time()
    label = "-".join((stage, *map(str, options.values())))
    code: object = 1
    try:
        exits_cleanly(stage)(_run)(stage, label, options)
        code = 0
    except SystemExit as end:
        code = end.code
        raise
    finally:
        runs.note(label, started, code)


def _run(stage: str, label: str, options: dict[str, int]) -> None:
    stopped = listen()
    end_with_parent()
    with alone(label):
        try:
            main = importlib.import_module(f"ferpipe.{stage}").main
        except ModuleNotFoundError as error:
            raise PipelineError(
                f"the package {error.name} is not installed for this Python; activate the "
                "environment (`source .venv/bin/activate`), or make it with `make venv`"
            ) from None
        main(**options)
    if stopped:
        # Dropped, and over before it could be tried again; DVC must not take this run.
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        raise Stopped(stopped[0])


def listen() -> list[int]:
    """Let SIGINT, SIGTERM and SIGHUP raise `Stopped`, so that files are tidied up on the way out.

    Returns:
        A list that holds the number of the first one, once there was one.
    """
    seen: list[int] = []
    last = -SAME

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal last
        seen.append(number)
        if time.monotonic() - last > SAME:
            last = time.monotonic()
            raise Stopped(number)

    def stop_again(_: int, frame: FrameType | None) -> None:
        nonlocal last
        last = -SAME
        stop(seen[0], frame)

    def dropped(what: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised in a finaliser or while it collects garbage.
        if not isinstance(what.exc_value, Stopped):
            sys.__unraisablehook__(what)
        elif hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)

    sys.unraisablehook = dropped
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, stop_again)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # One that is ignored stays so: nohup, or a job in the background of a script.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return seen


def end_with_parent() -> None:
    """Be told to stop when the process that started this one ends, however that comes about.

    Linux alone can do it; elsewhere the lock keeps a second writer away.

    Raises:
        Stopped: DVC started this process and is gone already.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # An orphan's new parent lives in a session of its own.
    if "DVC_STAGE" in os.environ and os.getsid(os.getppid()) != os.getsid(0):
        raise Stopped(signal.SIGTERM)


@contextmanager
def alone(label: str) -> Iterator[None]:
    """Hold the lock of a stage in this checkout; the system frees it however the process ends.

    Args:
        label: the stage, and what tells its runs apart.

    Raises:
        PipelineError: another process has held it for a minute.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    LOCKS.mkdir(parents=True, exist_ok=True)
    path = LOCKS / f"{label}.lock"
    with path.open("a+") as file:
        begun = time.monotonic()
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = _holder(path)
            waited = time.monotonic() - begun
            if waited > WAIT:
                raise PipelineError(
                    f"process {holder} still runs this stage in this checkout; wait until it has "
                    f"ended, or end it with `kill {holder}`"
                )
            if waited > 1 and not told:
                told = True
                print(f"{label}: waiting for process {holder}, which runs this stage", flush=True)
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _holder(path: Path) -> str:
    return path.read_text() or "?"
