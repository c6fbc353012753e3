"""`ferpipe train`: the stage `train` in several processes, on one machine or on several."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from ferpipe.training.parallel import messages
from ferpipe.training.parallel.clusters import detected
from ferpipe.training.parallel.facts import check_params
from ferpipe.training.parallel.group import (
    COORDINATOR,
    PROCESS,
    PROCESSES,
    WAIT,
    Group,
    from_environment,
)
from ferpipe.training.parallel.worker import join

NAMES = {COORDINATOR, PROCESSES, PROCESS, WAIT}
MODULE = "ferpipe.stages.train"
DVC = ("-m", "dvc", "repro", "train")
# Seconds in which the others, who try twice a second, hear how `dvc repro` has ended.
FAREWELL = 2.0


def run(args: argparse.Namespace) -> None:
    """Be the process that options, environment or cluster say: run `dvc repro train`, or join."""
    given = {
        COORDINATOR: args.coordinator,
        PROCESSES: args.processes,
        PROCESS: args.process,
        WAIT: args.wait,
    }
    given = {name: str(value) for name, value in given.items() if value is not None}
    inherited = {name: os.environ[name] for name in NAMES if name in os.environ}
    group = from_environment({**detected(), **inherited, **given})
    if group.processes > 1:
        check_params(group.processes)
    if group.process:
        print(f"process {group.process} waits for process 0 at {group.address}", flush=True)
        join(group, MODULE)
        return
    code = _repro(group)
    if group.port is not None:
        _tell_waiting(group, code)
    sys.exit(code)


def _repro(group: Group) -> int:
    with subprocess.Popen(
        [sys.executable, *DVC], env={**os.environ, **group.environment()}
    ) as process:
        signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # DVC has it too, and ends


def _tell_waiting(group: Group, code: int) -> None:
    """Send those home who still wait, because DVC had nothing to train or has failed before."""
    line = f"`dvc repro train` of process 0 has ended with exit code {code}" if code else ""
    until = time.monotonic() + FAREWELL
    try:
        with messages.listen(group.host, group.port) as server:
            while (left := until - time.monotonic()) > 0:
                server.settimeout(left)
                connection, _ = server.accept()
                messages.Peer(connection).send(end=line)
    except (TimeoutError, OSError):
        return
