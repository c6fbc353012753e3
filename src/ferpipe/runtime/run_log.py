"""What ran when, for how long and on what: `.ferpipe/runs.jsonl`, never an output."""

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
    """One run of a stage.

    Args:
        stage: its name; of a fold also seed and fold.
        started: UTC, ISO 8601, to the second.
        seconds: wall time of the process.
        outcome: "done", "failed" (exit code 1) or "stopped" (a signal).
        machine: see `machine`.
    """

    stage: str
    started: str
    seconds: float
    outcome: str
    machine: dict[str, object] = field(default_factory=dict)


def machine() -> dict[str, object]:
    """What computes here: processor, cores that this process may use, GPUs if it asked for them."""
    found: dict[str, object] = {"processor": processor(), "cores": cores()}
    # Asking TensorFlow takes seconds: only a stage that has imported it, all of it, knows of GPUs.
    backend = sys.modules.get("ferpipe.model.backend")
    if hasattr(backend, "GPUS"):
        found["gpus"] = backend.GPUS
    return found


def note(stage: str, started: float, code: object) -> None:
    """Append a run to the list; a list that cannot be written stops nobody.

    Args:
        stage: its name.
        started: seconds since the epoch.
        code: exit code of the process.
    """
    outcome = {0: "done", 1: "failed"}.get(code, "stopped") if isinstance(code, int) else "failed"
    begun = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    run = Run(stage, begun, round(time.time() - started, 2), outcome, machine())
    line = json.dumps(asdict(run), ensure_ascii=False) + "\n"
    with suppress(OSError):
        RUNS.parent.mkdir(parents=True, exist_ok=True)
        # One write of one line: two stages that end together do not mix theirs.
        with RUNS.open("ab", buffering=0) as file:
            file.write(line.encode())


def read(path: Path = RUNS) -> list[Run]:
    """The runs of this checkout, oldest first; a line that a full disk cut short is left out."""
    runs = []
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, TypeError):
                runs.append(Run(**json.loads(line)))
    return runs


def table(runs: list[Run]) -> list[str]:
    """The runs as lines, in columns."""
    rows = [("started (UTC)", "stage", "seconds", "outcome", "machine")]
    for run in runs:
        gpus = run.machine.get("gpus") or []
        where = ", ".join([f"{run.machine.get('cores')} x {run.machine.get('processor')}", *gpus])
        started = run.started[:19].replace("T", " ")
        rows.append((started, run.stage, f"{run.seconds:.1f}", run.outcome, where))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        cells[2] = row[2].rjust(widths[2])
        lines.append("  ".join(cells).rstrip())
    return lines
