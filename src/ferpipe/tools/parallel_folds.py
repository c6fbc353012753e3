"""Folds of the cross-validation side by side, each run by a DVC of its own.

A `dvc repro` of a single stage frees DVC's lock while its command runs, so several do not wait for
each other, and each adds its entry to cv/dvc.lock under the lock (DVC 3.67).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import paths
from ferpipe.tools import slots

FILE = "cv/dvc.yaml"
LOGS = paths.CACHE / "cv"
# Ignores Ctrl-C, which is for the stage: DVC could leave cv/dvc.lock half-written. It ends with its
# parent, and its stage with it.
DVC = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: None)
if sys.platform == "linux":
    import ctypes, os
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    os.sched_setaffinity(0, {cores})
from dvc.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Fold:
    """A fold of a seed, both as in `cv`."""

    seed: int
    fold: int

    @property
    def stage(self) -> str:
        """DVC's name of its stage."""
        return f"{FILE}:cv_fold@{self.seed}-{self.fold}"

    @property
    def log(self) -> Path:
        """What DVC and the stage print."""
        return LOGS / f"seed-{self.seed}-fold-{self.fold}.log"


def train(folds: Sequence[Fold], jobs: int, report: Callable[[Fold, bool, str], None]) -> None:
    """Run the folds, `jobs` at a time; `report` each with whether it succeeded and a line.

    A fold that fails stops no other, unless the first two fail.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    waiting, outcomes = list(folds), []
    running: dict[int, tuple[Fold, subprocess.Popen]] = {}  # by slot
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        while waiting or running:
            for slot in set(range(jobs)).difference(running):
                if waiting:
                    fold = waiting.pop(0)
                    running[slot] = fold, _start(fold, slot, jobs)
            time.sleep(0.1)
            for slot, (fold, process) in list(running.items()):
                if process.poll() is not None:
                    del running[slot]
                    outcomes.append(process.returncode == 0)
                    report(fold, outcomes[-1], _outcome(fold))
            if len(outcomes) > 1 and not any(outcomes):
                waiting.clear()
    finally:
        _stop([process for _, process in running.values()])
        signal.signal(signal.SIGTERM, before)


def _start(fold: Fold, slot: int, jobs: int) -> subprocess.Popen:
    """Start DVC on one fold, on its share of the cores and on one of the GPUs."""
    code = DVC.format(cores=slots.cores(slot, jobs))
    command = [sys.executable, "-c", code, "repro", "--single-item", fold.stage]
    with fold.log.open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=os.environ | slots.one_gpu(slot), start_new_session=True,
        )  # fmt: skip


def _outcome(fold: Fold) -> str:
    """The line of a log that says how it went."""
    text = fold.log.read_text(encoding="utf-8", errors="replace")
    for pattern in (
        r"^cv_fold: error: (.*)",
        r"^cv_fold: (\d+ of \d+ test images correct[^;\n]*)",
        r"^ERROR: (.*)",
        r"^(Stage .* is cached)",
    ):
        if found := re.findall(pattern, text, re.MULTILINE):
            return found[-1]
    return (text.splitlines() or ["it printed nothing"])[-1]


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """Interrupt the stages of running folds, and wait until DVC has ended."""
    while any(process.poll() is None for process in processes):
        for process in processes:
            if process.poll() is None:  # again and again: it may not have started its stage yet
                os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
