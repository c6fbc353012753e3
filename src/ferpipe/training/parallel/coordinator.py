"""Process 0 of a group: it meets the members, starts them, and ends them all together."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import replace

from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel import failures, local, messages
from ferpipe.training.parallel.computing import Computing
from ferpipe.training.parallel.failures import AGAIN
from ferpipe.training.parallel.group import COORDINATOR, PROCESS, WAIT, Group, joined
from ferpipe.training.parallel.members import Members

# Seconds between the first failure and the decision which one was the cause.
GRACE = 2.0
# Seconds of waiting after which a line says for whom.
PATIENCE = 3.0


def lead(group: Group, facts: dict[str, str], module: str) -> None:
    """Train with all processes of the group; returns when `module` has ended here without error.

    Args:
        group: this is its process 0.
        facts: digests of what all processes must have alike.
        module: what each runs to compute, see `computing`.

    Raises:
        PipelineError: names the process that did not come, died or failed.
    """
    started, environment = [], {}
    is_local = group.port is None
    if is_local:
        group = replace(group, port=messages.free_port(group.host))
    with _listening(group) as server:
        members = Members(server, group.processes, facts)
        line = f"process 0 ({socket.gethostname()}) was interrupted; {AGAIN}"
        try:
            if is_local:
                started, environment = local.start(group, module)
            _meet(members, group, started)
            _compute(members, group, module, environment)
            line = ""
        except PipelineError as error:
            line = str(error)
            raise
        finally:
            members.end(line)
            local.end(started)


def _listening(group: Group) -> socket.socket:
    try:
        return messages.listen(group.host, group.port)
    except OSError as error:
        raise PipelineError(
            f"process 0 cannot listen at port {group.port} of {COORDINATOR} ({error.strerror}); "
            "choose another port, the same for all processes"
        ) from None


def _meet(members: Members, group: Group, started: list[subprocess.Popen]) -> None:
    """Wait until all have come."""
    began, has_said_so = time.monotonic(), False
    while missing := members.missing:
        members.listen()
        for process, code, text in local.ended(started):
            if process in missing:
                members.failures.append(failures.of_exit(process, code, text))
        members.raise_cause()
        waited = time.monotonic() - began
        if waited > PATIENCE and not has_said_so:
            print(f"train: waits at {group.address} for {_named(missing)}", flush=True)
            has_said_so = True
        if waited > group.wait:
            raise PipelineError(
                f"{_named(missing)} of {group.processes} did not come to {group.address} within "
                f"{group.wait} s; run `ferpipe train` there with its {PROCESS} and the same "
                f"{COORDINATOR}, or raise {WAIT}"
            )


def _compute(members: Members, group: Group, module: str, environment: dict[str, str]) -> None:
    address = joined(group.host, messages.free_port(group.host))
    members.send(start=address)
    computing = Computing(module, group, address, environment)
    until, has_failed = float("inf"), False
    try:
        while computing.code != 0:
            members.listen()
            if computing.code and not has_failed:
                has_failed = True
                members.failures.append(failures.of_exit(0, computing.code, computing.text()))
            if members.failures:
                until = min(until, time.monotonic() + GRACE)
            if time.monotonic() > until:
                members.raise_cause()
    finally:
        computing.stop()


def _named(processes: list[int]) -> str:
    return f"process{'es' * (len(processes) > 1)} {', '.join(map(str, processes))}"
