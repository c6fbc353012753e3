"""Drawing many subjects, in several processes: Python's lock leaves threads no gain."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from ferpipe.core import machine
from ferpipe.core.children import with_package
from ferpipe.core.errors import PipelineError
from ferpipe.sources.sample.people import FRAMES, PROTOTYPES, draw_subject
from ferpipe.sources.sample.raster import SIDE

# Subjects from which on processes are faster than one, which need not start.
MANY = 300
SHAPE = (len(PROTOTYPES), FRAMES, SIDE, SIDE)


def draw_subjects(seed: int, count: int, workers: int) -> Iterator[np.ndarray]:
    """Yield `people.draw_subject` of the subjects 1 to `count`.

    `workers` processes draw (0: one per core). Each writes its subjects to a pipe, so that it waits
    for its reader, and ends soon after it: also if the reader was killed.

    Raises:
        PipelineError: a process has ended early.
    """
    workers = workers or machine.cores()
    if workers == 1 or count < MANY:
        for subject in range(1, count + 1):
            yield draw_subject(seed, subject)
        return
    with ExitStack() as stack:
        started = [
            stack.enter_context(_start(seed, first, count, workers))
            for first in range(1, workers + 1)
        ]
        for number in range(count):
            process = started[number % workers]
            data = process.stdout.read(int(np.prod(SHAPE)))
            if len(data) < np.prod(SHAPE):
                raise PipelineError(
                    f"a process that draws faces has ended early (exit code {process.wait()}); "
                    "run it again, or set run.workers to 1"
                )
            yield np.frombuffer(data, np.uint8).reshape(SHAPE)


def _start(seed: int, first: int, last: int, step: int) -> subprocess.Popen:
    """A process that writes the pixels of every `step`-th subject."""
    command = [sys.executable, "-m", __spec__.name, *map(str, (seed, first, last, step))]
    # In a session of its own, Ctrl-C does not reach it, which would print a traceback.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=with_package(os.environ),
        start_new_session=True,
    )


def main(seed: int, first: int, last: int, step: int) -> None:
    """Write the pixels of every `step`-th subject to standard output."""
    try:
        for subject in range(first, last + 1, step):
            sys.stdout.buffer.write(draw_subject(seed, subject).tobytes())
            sys.stdout.buffer.flush()
    except OSError:  # the reader has ended; Python would print so when it flushes again
        os._exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
