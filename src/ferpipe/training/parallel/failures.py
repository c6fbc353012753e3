"""Why a process of a group ended, and which of several ends was the cause of the others."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass

AGAIN = "run it again to resume from the last checkpoint, with any number of processes"
STOPPED = "stopped: "


@dataclass(frozen=True)
class Failure:
    """The end of a process before its time.

    `rank` sorts: 0 for an error that the user can fix, 1 for a process that died, 2 for one that
    failed, perhaps because another one had died.
    """

    process: int
    rank: int
    reason: str
    details: str = ""  # what it wrote, if that is more than a line

    def line(self, hosts: dict[int, str]) -> str:
        """The failure in one line, with the machine of the process if that is known."""
        if self.process == 0 and self.rank == 0:
            return self.reason.removeprefix(STOPPED)  # as a training in one process says it
        where = f" ({hosts[self.process]})" if hosts.get(self.process) else ""
        return f"process {self.process}{where} {self.reason}"

    def message(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)


def of_exit(process: int, code: int, text: str) -> Failure:
    """The failure of a process that ended with this exit code, and wrote this about it."""
    lines = re.findall(r"^train: error: (.*)", text, re.MULTILINE)
    if code == 1 and lines:
        return Failure(process, 0, STOPPED + lines[-1])
    # JAX names the process that did not answer any more.
    blamed = re.search(r"unhealthy \(.*?\):\s+(\d+)\b", text)
    if code == -signal.SIGABRT and blamed and int(blamed[1]) != process:
        return Failure(int(blamed[1]), 1, f"does not answer any more; {AGAIN}")
    if code == -signal.SIGABRT or code >= 0:
        return Failure(process, 2, f"failed with exit code {code}, see above", text)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    is_defect = name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE")
    memory = ", as when memory runs out" * (name == "SIGKILL")
    return Failure(process, 1, f"was ended by {name}{memory}; {AGAIN}", text * is_defect)


def cause(failures: Sequence[Failure]) -> Failure:
    """The failure that explains the others: of the lowest rank, and then the first to be noticed.

    All processes have the same error where the data or the params have one: that of process 0.
    """
    return min(failures, key=lambda failure: (failure.rank, (failure.rank == 0) * failure.process))
