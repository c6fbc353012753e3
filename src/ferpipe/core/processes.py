"""Work on many items in several processes, where Python's lock leaves threads no gain."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TypeVar

from ferpipe.core import machine, threads
from ferpipe.core.children import with_package
from ferpipe.core.errors import PipelineError

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    size: Callable[[Item], int],
    workers: int,
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order, as `threads.ordered` does.

    `workers` processes (0: one per core) compute; function, items and results are pickled. Each
    process waits for work on a pipe, so that it ends with its reader: also if that is killed.

    Raises:
        PipelineError: a process has ended early.
    """
    workers = workers or machine.cores()
    with ExitStack() as stack:
        idle: queue.SimpleQueue[subprocess.Popen] = queue.SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(_process()))

        def compute(piece: list[Item]) -> list[Result]:
            process = idle.get()
            try:
                return _call(process, function, piece)
            finally:
                idle.put(process)

        pieces = threads.pieces(items, size)
        with closing(threads.ahead(compute, pieces, 2 * workers, workers)) as computed:
            for results in computed:
                yield from results


@contextmanager
def _process() -> Iterator[subprocess.Popen]:
    """A process that answers `_call`."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=with_package(os.environ),
        # Ctrl-C does not reach it, which would print a traceback.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(BrokenPipeError):  # it has ended before
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _call(
    process: subprocess.Popen, function: Callable[[Item], Result], piece: list[Item]
) -> list[Result]:
    """`function` of each item, computed by a process."""
    try:
        pickle.dump((function, piece), process.stdin)
        process.stdin.flush()
        results, error = pickle.load(process.stdout)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        raise PipelineError(
            f"a process that shares the work has ended early (exit code {process.wait()}); "
            "run it again, or set run.workers to 1"
        ) from None
    if error:
        raise error
    return results


def main() -> None:
    """Answer requests from standard input until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the function prints is no answer
    while True:
        try:
            function, piece = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        results, failed = [], None
        try:
            results = [function(item) for item in piece]
        except Exception as error:
            error.add_note(traceback.format_exc())
            failed = error
        try:
            pickle.dump((results, failed), answers)
            answers.flush()
        except BrokenPipeError:  # the reader has ended; Python would say so when it flushes again
            os._exit(1)


if __name__ == "__main__":
    main()
