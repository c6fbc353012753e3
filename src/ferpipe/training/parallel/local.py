"""All processes of a group on this machine, started by process 0; each gets a part of the GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

from ferpipe.core import machine
from ferpipe.core.children import with_package
from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel.computing import ENDING
from ferpipe.training.parallel.group import PROCESSES, Group


def shares(processes: int, names: list[str]) -> list[dict[str, str]]:
    """The variables of each process that give it as many of the GPUs as the others."""
    if not names:
        return [{}] * processes
    size = len(names) // processes
    if size == 0:
        raise PipelineError(
            f"{PROCESSES} = {processes}: this machine has {len(names)} GPUs; start at most one "
            "process for each"
        )
    return [
        {machine.VISIBLE: ",".join(names[start : start + size])}
        for start in range(0, size * processes, size)
    ]


def start(group: Group, module: str) -> tuple[list[subprocess.Popen], dict[str, str]]:
    """Start processes 1, 2, ... of the group; they end when process 0 closes its connection.

    Returns:
        The processes, and the variables of process 0 that give it its part of the GPUs.
    """
    names, count = machine.visible_gpus(), group.processes
    first, *rest = shares(count, names)
    text = "share this machine's processor, which is no faster than one: useful for tests"
    if names:
        text = f"have {len(names) // count} of {len(names)} GPUs each"
    print(f"train: {count} processes {text}", flush=True)
    return [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "ferpipe.training.parallel.worker", module],
            env=with_package(
                {**os.environ, **share, **replace(group, process=process).environment()}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at a terminal reaches process 0 only
        )
        for process, share in enumerate(rest, 1)
    ], first


def ended(started: list[subprocess.Popen]) -> Iterator[tuple[int, int, str]]:
    """Number, exit code and error output of those that have ended."""
    for number, process in enumerate(started, 1):
        if process.poll() is not None:
            text = process.stderr.read().decode(errors="replace").strip()
            yield number, process.returncode, text


def end(started: list[subprocess.Popen]) -> None:
    """Wait for the end of all, and kill those that do not end."""
    for process in started:
        process.stderr.close()
        try:
            process.wait(2 * ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
