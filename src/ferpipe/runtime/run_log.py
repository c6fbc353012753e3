"""The log of all runs of stages, `.ferpipe/runs.jsonl`; it is never an output."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.machine import cores, processor

RUNS = paths.CACHE / "runs.jsonl"


@dataclass(frozen=True)
class Run:
    """One run of a stage."""

    stage: str  # of a fold also seed and fold
    started: str  # UTC, ISO 8601, to the second
    seconds: float  # wall time of the process
    outcome: str  # done, failed (exit code 1) or stopped (a signal)
    machine: dict[str, object] = field(default_factory=dict)


def machine() -> dict[str, object]:
    """The processor, the cores that this process may use, and the GPUs if the stage uses Keras."""
    facts: dict[str, object] = {"processor": processor(), "cores": cores()}
    # Importing TensorFlow takes seconds, so only a stage that has imported it knows the GPUs.
    backend = sys.modules.get("ferpipe.model.backend")
    if hasattr(backend, "GPUS"):
        facts["gpus"] = backend.GPUS
    return facts


def note(stage: str, started: float, code: object) -> None:
    """Append a run with its start (seconds since the epoch) and exit code; ignore write errors."""
    outcome = {0: "done", 1: "failed"}.get(code, "stopped") if isinstance(code, int) else "failed"
    begun = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    run = Run(stage, begun, round(time.time() - started, 2), outcome, machine())
    line = json.dumps(asdict(run), ensure_ascii=False) + "\n"
    with suppress(OSError):
        RUNS.parent.mkdir(parents=True, exist_ok=True)
        # A single write, so that lines of two processes do not mix.
        with RUNS.open("ab", buffering=0) as file:
            file.write(line.encode())


def read(path: Path = RUNS) -> list[Run]:
    """Read the runs, oldest first; incomplete lines are left out."""
    runs = []
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, TypeError):
                runs.append(Run(**json.loads(line)))
    return runs


def table(runs: list[Run]) -> str:
    """The runs as text, in columns."""
    from tabulate import tabulate

    rows = []
    for run in runs:
        machine = f"{run.machine.get('cores')} x {run.machine.get('processor')}"
        machine = ", ".join([machine, *run.machine.get("gpus", ())])
        started = run.started[:19].replace("T", " ")
        rows.append((started, run.stage, f"{run.seconds:.1f}", run.outcome, machine))
    headers = ("started (UTC)", "stage", "seconds", "outcome", "machine")
    alignment = ("left", "left", "right", "left", "left")
    return tabulate(rows, headers, "plain", disable_numparse=True, colalign=alignment)
