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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ferpipe import files, runs
from ferpipe.errors import PipelineError, exits_cleanly

LOCKS = files.CACHE / "locks"
WAIT = 60.0  # seconds; a predecessor that was told to end needs a moment
PR_SET_PDEATHSIG = 1
Stop = Callable[[int], None]


def run(stage: str, options: dict[str, int]) -> None:
    """Run a stage; every way it can end is an exit code, and a line where it did not end well.

    It ends the process: 0, 1 for what the user can mend, 128 + n after signal n.

    Args:
        stage: the name of its module.
        options: what its `main` takes.
    """
    started = time.time()
    label = "-".join((stage, *map(str, options.values())))
    code = 1
    try:
        exits_cleanly(stage)(_run)(stage, label, options, started)
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        runs.note(label, started, code)
    # TensorFlow takes a second to go, and whoever is told to stop by then dies without a word.
    _leave(code)


def _run(stage: str, label: str, options: dict[str, int], started: float) -> None:
    end_with_parent(listen(stage, label, started))
    with alone(label):
        try:
            main = importlib.import_module(f"ferpipe.{stage}").main
        except ModuleNotFoundError as error:
            raise PipelineError(
                f"the package {error.name} is not installed for this Python; activate the "
                "environment (`source .venv/bin/activate`), or make it with `make venv`"
            ) from None
        main(**options)


def listen(stage: str, label: str, started: float) -> Stop:
    """End the process at once on SIGINT, SIGTERM and SIGHUP: tidy up, say so, exit.

    Nothing is raised: Python drops what is raised in a finaliser, and TensorFlow, interrupted
    so while it is imported or traces a function, ends in a SystemError or a segmentation fault
    (2 of 200 stops with TensorFlow 2.21).

    Args:
        stage: what the line begins with.
        label: as `runs.note` takes it.
        started: seconds since the epoch.

    Returns:
        What is done on a signal; it takes the signal's number.
    """
    # File descriptor 2 leads nowhere while TensorFlow is imported.
    stderr = os.dup(2)
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # One that is ignored stays so: nohup, or a job in the background of a script.
    numbers = [
        number
        for number in (getattr(signal, name) for name in names)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def stop(number: int, _: FrameType | None = None) -> None:
        try:
            for each in numbers:
                signal.signal(each, signal.SIG_IGN)
            files.tidy()
            runs.note(label, started, 128 + number)
            how = f"stopped by {signal.Signals(number).name}"
            line = f"{stage}: {'interrupted' if number == signal.SIGINT else how}\n"
            # A terminal may hold an unfinished bar.
            os.write(stderr, ("\n" * os.isatty(stderr) + line).encode())
        finally:
            _leave(128 + number)

    for number in numbers:
        signal.signal(number, stop)
    return stop


def _leave(code: int) -> None:
    # A signal may have come in the midst of a write, which then refuses to be taken up.
    with suppress(OSError, RuntimeError):
        sys.stdout.flush()
    os._exit(code)


def end_with_parent(stop: Stop) -> None:
    """Be told to stop when the process that started this one ends, however that comes about.

    Linux alone can do it; elsewhere the lock keeps a second writer away.

    Args:
        stop: called if DVC started this process and is gone already.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # An orphan's new parent lives in a session of its own.
    if "DVC_STAGE" in os.environ and os.getsid(os.getppid()) != os.getsid(0):
        stop(signal.SIGTERM)


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
