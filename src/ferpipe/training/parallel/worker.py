"""Processes 1, 2, ... of a group: each finds process 0, computes its part, and ends with it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from ferpipe.core.errors import PipelineError, exits_cleanly, one_line
from ferpipe.training.parallel import failures, messages
from ferpipe.training.parallel.computing import Computing
from ferpipe.training.parallel.facts import difference, facts
from ferpipe.training.parallel.failures import Failure
from ferpipe.training.parallel.group import COORDINATOR, WAIT, Group, from_environment

RETRY, TICK, ANSWER = 0.5, 0.2, 5.0  # seconds


def join(group: Group, module: str) -> None:
    """Wait for process 0, and train with it until it ends.

    Args:
        group: this is one of its processes, not the first.
        module: what to run to compute, see `computing`.

    Raises:
        PipelineError: process 0 did not come, or a process died or failed.
    """
    signal.signal(signal.SIGTERM, _stopped)
    peer = computing = None
    try:
        peer, told = _meet(group)
        error = _misfit(group, told)
        peer.send(process=group.process, host=socket.gethostname(), error=error)
        address = _receive(peer, "start")["start"]
        computing = Computing(module, group, address)
        _watch(peer, group, computing)
    except _End as end:
        if str(end):
            raise PipelineError(str(end)) from None
        if computing is None:
            print("process 0 had nothing to train")
    except _NotThere as gone:
        raise PipelineError(
            f"process 0 ({group.address}): {gone}, see what it says; {failures.AGAIN}"
        ) from None
    except (KeyboardInterrupt, SystemExit) as stop:
        if peer:
            name = "SIGINT" if isinstance(stop, KeyboardInterrupt) else "SIGTERM"
            reason = f"was ended by {name}; {failures.AGAIN}"
            peer.send(failure=Failure(group.process, 1, reason).message())
        raise
    finally:
        if computing:
            computing.stop()
        if peer:
            peer.close()


class _End(Exception):
    """Process 0 has ended the training: with an error, or without a text."""


class _NotThere(Exception):
    """Process 0 does not answer, or something else does at its address."""


def _stopped(number: int, _: object) -> None:
    print(f"train: stopped by {signal.Signals(number).name}", file=sys.stderr)
    sys.exit(128 + number)


def _meet(group: Group) -> tuple[messages.Peer, dict]:
    """Connect to process 0; returns it and what it has said first."""
    until, why = time.monotonic() + group.wait, ""
    while time.monotonic() < until:
        try:
            peer = messages.Peer(socket.create_connection((group.host, group.port), ANSWER))
            try:
                return peer, _receive(peer, "facts", ANSWER)
            except _NotThere as error:
                peer.close()
                why = str(error)
        except OSError as error:
            why = error.strerror or str(error)
        time.sleep(RETRY)
    raise PipelineError(
        f"process 0 did not come to {group.address} within {group.wait} s ({why}); start it with "
        f"the same {COORDINATOR}, or raise {WAIT}"
    )


def _receive(peer: messages.Peer, key: str, seconds: float = float("inf")) -> dict:
    """Wait for a message with this key."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        while message := _next(peer):
            if key in message:
                return message
        time.sleep(TICK)
    raise _NotThere("no answer")


def _next(peer: messages.Peer) -> dict | None:
    """The next message of process 0; raises _End if it ends the training or is gone."""
    peer.beat()
    message = peer.receive()
    if message and "end" in message:
        raise _End(message["end"])
    if message is None and peer.lost:
        raise _NotThere("it has ended")
    return message


def _misfit(group: Group, told: dict) -> str:
    """Why this process cannot train with process 0; empty if it can."""
    if told.get("processes") != group.processes:
        return f"it is one of {group.processes} processes, process 0 of {told.get('processes')}"
    try:
        return difference(told["facts"], facts(group.processes))
    except (PipelineError, OSError) as error:
        return one_line(error)


def _watch(peer: messages.Peer, group: Group, computing: Computing) -> None:
    """Wait for the end, and tell process 0 if the computing process fails."""
    has_failed = False
    while True:
        _next(peer)
        if computing.code is not None and not has_failed:
            has_failed = True
            failure = failures.of_exit(group.process, computing.code, computing.text())
            peer.send(failure=failure.message())
        time.sleep(TICK)


def main() -> None:
    """Be a process of the group that the environment describes."""
    join(from_environment(os.environ), sys.argv[1])


if __name__ == "__main__":
    exits_cleanly("train")(main)()
