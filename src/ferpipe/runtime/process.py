"""Runs a stage as a process: under a lock, ended with its parent, its time logged.

If DVC is killed, its stage keeps running, and the next `dvc repro` starts a second one (DVC 3.67).
So a stage ends with the process that started it, and holds a lock while it runs.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import ctypes
import gc
import hashlib
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferpipe.core import errors, files, muted, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.runtime import run_log

STAGES = Path(__file__).parents[1] / "stages"
LOCKS = paths.CACHE / "locks"
WAIT = 60.0  # seconds, for a process that is about to end
PR_SET_PDEATHSIG = 1
# Allocations between passes of Python's garbage collector. With its defaults, the passes take a
# sixth of the time of a download of 36,000 images.
COLLECT = (50_000, 20, 20)
Stop = Callable[[int], None]


def main(arguments: Sequence[str]) -> None:
    """Run the stage that the command line names; its `main` defines the options."""
    top = argparse.ArgumentParser(
        prog="python src/stage.py",
        description="Runs one stage on params.yaml; `dvc repro` calls it when needed.",
    )
    parsers = top.add_subparsers(required=True, dest="stage", metavar="STAGE")
    for path in sorted(STAGES.glob("[a-z]*.py")):
        # Parsed, not imported: the imports of a stage may take seconds.
        module = ast.parse(path.read_text(encoding="utf-8"))
        text = (ast.get_docstring(module) or "").partition("\n")[0]
        stage = parsers.add_parser(path.stem, help=text, description=text)
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name == "main":
                for argument in node.args.args:
                    stage.add_argument(f"--{argument.arg}", type=int, required=True)
    options = vars(top.parse_args(arguments))
    run(options.pop("stage"), options)


def run(stage: str, options: dict[str, int]) -> None:
    """Run a stage, and exit with 0, 1 (user error) or 128 + signal number."""
    started = time.time()
    label = "-".join((stage, *map(str, options.values())))
    code = 1
    try:
        exits_cleanly(stage)(_run)(stage, label, options, started)
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        run_log.note(label, started, code)
    # Python restores the default signal handlers before it has unloaded TensorFlow or pandas, which
    # takes up to a second. Coverage and profilers write their files in the exit functions.
    atexit._run_exitfuncs()
    _leave(code)


def _run(stage: str, label: str, options: dict[str, int], started: float) -> None:
    gc.set_threshold(*COLLECT)
    end_with_parent(listen(stage, label, started))
    with alone(label):
        importlib.import_module(f"ferpipe.stages.{stage}").main(**options)


def listen(stage: str, label: str, started: float) -> Stop:
    """Exit at once, with a message, on SIGINT, SIGTERM and SIGHUP.

    The handler raises nothing: Python drops exceptions in finalisers, and TensorFlow, interrupted
    during its import or a trace, ends in a SystemError or a segmentation fault (2 of 200 stops with
    TensorFlow 2.21).

    Returns:
        The handler; it takes the signal's number.
    """
    # File descriptor 2 is redirected while TensorFlow is imported.
    stderr = os.dup(2)
    numbers = [getattr(signal, name, 0) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    # A signal that is ignored stays so: nohup, or a background job of a script.
    numbers = [n for n in numbers if n and signal.getsignal(n) is not signal.SIG_IGN]

    def stop(number: int, _: object = None) -> None:
        try:
            for each in numbers:
                signal.signal(each, signal.SIG_IGN)
            files.tidy()
            muted.release()
            run_log.note(label, started, 128 + number)
            how = f"stopped by {signal.Signals(number).name}"
            line = f"{stage}: {'interrupted' if number == signal.SIGINT else how}\n"
            # A terminal may show an unfinished progress bar.
            os.write(stderr, ("\n" * os.isatty(stderr) + line).encode())
        finally:
            _leave(128 + number)

    for number in numbers:
        signal.signal(number, stop)
    return stop


def _leave(code: int) -> None:
    # A signal in the middle of a write makes this flush fail.
    with suppress(OSError, RuntimeError):
        sys.stdout.flush()
    os._exit(code)


def end_with_parent(stop: Stop) -> None:
    """Let the kernel send SIGTERM when the parent ends; call `stop` if it has ended already.

    Only on Linux; elsewhere the lock keeps a second writer out.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The new parent of an orphan is in another session.
    if "DVC_STAGE" in os.environ and os.getsid(os.getppid()) != os.getsid(0):
        stop(signal.SIGTERM)


@contextmanager
def alone(label: str) -> Iterator[None]:
    """Hold the lock of a stage in this checkout; the system frees it however the process ends.

    Raises:
        PipelineError: another process has held it for a minute.
    """
    from filelock import FileLock, Timeout  # if it is missing, `run` says so in one line

    lock, holder = FileLock(_lock_file(label)), LOCKS / f"{label}.pid"
    try:
        lock.acquire(timeout=1)
    except Timeout:
        pid = _read(holder)
        print(f"{label}: waiting for process {pid}, which runs this stage", flush=True)
        try:
            lock.acquire(timeout=WAIT - 1)
        except Timeout:
            pid = _read(holder)
            raise PipelineError(
                f"process {pid} still runs this stage in this checkout; wait until it has ended, "
                f"or end it with `kill {pid}`"
            ) from None
    holder.write_text(str(os.getpid()))
    try:
        yield
    finally:
        lock.release()


def _lock_file(label: str) -> Path:
    """A file that can be locked: in the checkout, or elsewhere if its file system has no locks."""
    path = LOCKS / f"{label}.lock"
    try:
        LOCKS.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file, suppress(BlockingIOError):  # another process holds it
            _flock(file)
    except OSError as error:
        if error.errno in errors.NOT_WRITABLE:
            raise
        # NFS without its lock service, Lustre without `-o flock`, some file systems of users.
        user = getattr(os, "getuid", int)()
        folder = Path(tempfile.gettempdir()) / f"ferpipe-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        where = hashlib.sha256(str(Path.cwd()).encode(errors="surrogateescape")).hexdigest()[:16]
        path = folder / f"{where}-{label}.lock"
        reason = f"{LOCKS} cannot be locked ({error.strerror})"
        print(f"{label}: WARNING: {reason}; {path} is, on this machine only", flush=True)
    return path


def _flock(file: BinaryIO) -> None:
    with suppress(ImportError):  # Windows
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(holder: Path) -> str:
    with suppress(OSError):
        return holder.read_text() or "?"
    return "?"
