"""The processes that train together, as the environment describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferpipe.core.errors import PipelineError

COORDINATOR = "FERPIPE_COORDINATOR"
PROCESSES = "FERPIPE_PROCESSES"
PROCESS = "FERPIPE_PROCESS"
WAIT = "FERPIPE_WAIT"
LOOPBACK = "127.0.0.1"
MOST = 1024


@dataclass(frozen=True)
class Group:
    """Processes 0 to `processes` - 1, of which this is number `process`.

    Process 0 listens at `host`, `port`; without a port it starts the others on this machine.
    `wait` is how many seconds a process waits for another one to come.
    """

    processes: int = 1
    process: int = 0
    host: str = LOOPBACK
    port: int | None = None
    wait: int = 60

    @property
    def address(self) -> str:
        """Where process 0 listens."""
        return joined(self.host, self.port)

    def environment(self) -> dict[str, str]:
        """The variables from which `from_environment` reads this."""
        values = {PROCESSES: self.processes, WAIT: self.wait, COORDINATOR: "", PROCESS: ""}
        if self.port is not None:
            values |= {COORDINATOR: self.address, PROCESS: self.process}
        return {name: str(value) for name, value in values.items()}


def joined(host: str, port: int | None) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def from_environment(environment: Mapping[str, str]) -> Group:
    """Read the variables above; raises PipelineError if they do not fit together."""
    # A variable that is empty counts as not set.
    given = {name: environment.get(name, "").strip() for name in (PROCESSES, PROCESS, WAIT)}
    coordinator = environment.get(COORDINATOR, "").strip()
    processes = _number(PROCESSES, given[PROCESSES] or "1", 1, MOST)
    process = _number(PROCESS, given[PROCESS] or "0", 0, processes - 1)
    wait = _number(WAIT, given[WAIT] or "60", 1, 10**7)
    if not coordinator:
        if given[PROCESS] and processes > 1:
            raise PipelineError(
                f"{PROCESS} = {process} of {processes} needs {COORDINATOR} too: host and port of "
                "process 0, such as node0:7766"
            )
        return Group(processes, wait=wait)
    if processes > 1 and not given[PROCESS]:
        raise PipelineError(
            f"{COORDINATOR} is set, but not {PROCESS}: the number of this process, 0 to "
            f"{processes - 1}"
        )
    return Group(processes, process, *_address(coordinator), wait)


def _address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`, `address:port` or `[IPv6]:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or (":" in host and not host.startswith("[")):
        raise PipelineError(f"{COORDINATOR} = {text} should be host:port, such as node0:7766")
    return host.strip("[]"), _number(f"the port of {COORDINATOR}", port, 1, 2**16 - 1)


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise PipelineError(f"{name} = {text} should be a whole number from {least} to {most}")
    return int(text)
