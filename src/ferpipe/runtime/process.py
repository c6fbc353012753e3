"""A stage as a process: alone in its checkout, gone when DVC is gone, its time noted.

DVC, killed, leaves its stage running, and the next `dvc repro` starts another one beside it
(measured with DVC 3.67). So a stage ends with the process that started it, and holds a lock.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import ctypes
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ferpipe.core import files, muted, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.runtime import run_log

STAGES = Path(__file__).parents[1] / "stages"
LOCKS = paths.CACHE / "locks"
WAIT = 60.0  # seconds; a predecessor that was told to end needs a moment
PR_SET_PDEATHSIG = 1
Stop = Callable[[int], None]


def main(arguments: Sequence[str]) -> None:
    """Run the stage that the command line names.

    Args:
        arguments: the stage, and the arguments of its `main` as options.
    """
    top = argparse.ArgumentParser(
        prog="python src/stage.py",
        description="Runs one stage on params.yaml; `dvc repro` calls it when needed.",
    )
    parsers = top.add_subparsers(required=True, dest="stage", metavar="STAGE")
    for path in sorted(STAGES.glob("[a-z]*.py")):
        # Read, not imported: the imports of a stage may take seconds.
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
    """Run a stage, and exit with 0, 1 (user error) or 128 + signal number.

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
        run_log.note(label, started, code)
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    # TensorFlow takes a second to go, and whoever is told to stop by then dies without a word.
    # Coverage and profilers write what they have at exit.
    atexit._run_exitfuncs()
    _leave(code)


def _run(stage: str, label: str, options: dict[str, int], started: float) -> None:
    end_with_parent(listen(stage, label, started))
    with alone(label):
        importlib.import_module(f"ferpipe.stages.{stage}").main(**options)


def listen(stage: str, label: str, started: float) -> Stop:
    """End the process at once on SIGINT, SIGTERM and SIGHUP: tidy up, say so, exit.

    Nothing is raised: Python drops what is raised in a finaliser, and TensorFlow, interrupted
    so while it is imported or traces a function, ends in a SystemError or a segmentation fault
    (2 of 200 stops with TensorFlow 2.21).

    Args:
        stage: what the line begins with.
        label: as `run_log.note` takes it.
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
            muted.release()
            run_log.note(label, started, 128 + number)
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
