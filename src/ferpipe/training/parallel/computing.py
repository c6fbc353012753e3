"""The process that computes: started, watched and ended by another one, which speaks for it.

JAX ends a process from C++ when another one of its group dies. So every process of a group has a
small one above it, which turns such an end into a line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn, TextIO

from ferpipe.core import files
from ferpipe.core.children import with_package
from ferpipe.core.errors import PipelineError, exits_cleanly, one_line
from ferpipe.training.parallel.group import LOOPBACK, Group

PLACE = "FERPIPE_COMPUTES"
# Seconds for connecting, and after which JAX takes a process that does not answer for dead.
CONNECT, HEARTBEAT = 45, 30
ENDING = 5.0  # seconds for a process to end by itself


class Computing:
    """The computing process of this member of a group, seen from above.

    Args:
        module: what it runs, with `python -m`.
        group: whose member it is.
        address: where JAX of process 0 listens.
        environment: more variables.
    """

    def __init__(
        self, module: str, group: Group, address: str, environment: dict[str, str] | None = None
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        place = {"address": address, "processes": group.processes, "process": group.process}
        place["log"] = self._log.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],  # -P: nothing in this folder is a module
            env=with_package({**os.environ, **(environment or {}), PLACE: json.dumps(place)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if group.process else None,
            stderr=self._log if group.process else None,
            pass_fds=[self._log.fileno()],
            start_new_session=True,  # Ctrl-C at a terminal reaches the process above only
        )

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def text(self) -> str:
        """What it and its libraries wrote about its end."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """End it: it tidies up when its standard input closes."""
        self._process.stdin.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def run(compute: Callable[[], None], connect: Callable[[dict], None] | None = None) -> NoReturn:
    """Be the computing process: join the group, through JAX or by `connect`, and call `compute`."""
    place = json.loads(os.environ[PLACE])
    signal.signal(signal.SIGTERM, lambda number, _: _leave(128 + number))
    threading.Thread(target=_end_with_watcher, daemon=True).start()
    log = _redirect(place["log"], is_first=place["process"] == 0)

    @exits_cleanly("train")
    def main() -> None:
        try:
            (connect or _join)(place)
            compute()
        except BaseException:
            sys.stderr = log
            raise

    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc(file=log)
        code = 1
    if code == 0 and place["process"]:
        time.sleep(1e6)  # process 0 ends all: JAX would take one that has ended for dead
    _leave(code)


def _end_with_watcher() -> None:
    os.read(0, 1)  # nothing comes before its end
    _leave(128 + signal.SIGTERM)


def _leave(code: int) -> NoReturn:
    files.tidy()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _redirect(log: int, is_first: bool) -> TextIO:
    """Let libraries write to the log, and Python's own output stay where it is."""
    sys.stdout.flush()
    sys.stderr.flush()
    if is_first:
        sys.stdout = os.fdopen(os.dup(1), "w", buffering=1, encoding=sys.stdout.encoding)
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
        os.dup2(log, 1)
    os.dup2(log, 2)
    return os.fdopen(log, "w", buffering=1, encoding="utf-8")


def _join(place: dict) -> None:
    import jax

    address = place["address"]
    is_local = address.startswith(f"{LOOPBACK}:")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            address,
            place["processes"],
            place["process"],
            # Not SLURM's rule of one GPU for a process: each uses all that it sees.
            cluster_detection_method="deactivate",
            coordinator_bind_address=address if is_local else None,
            initialization_timeout=CONNECT,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except RuntimeError as error:
        raise PipelineError(
            f"JAX does not reach process 0 at {address} ({one_line(error)}); the machines must "
            "reach each other at every port"
        ) from None
