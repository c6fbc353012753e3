"""Cross-validation with several folds at a time, or in parts on several machines.

DVC runs the folds. A `dvc repro` of a single stage frees DVC's lock while its command runs, so
several run side by side, and each adds its entry to cv/dvc.lock under the lock (DVC 3.67). A plain
`dvc repro cv/dvc.yaml` afterwards has nothing to train.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section
from ferpipe.tools import slots

FILE = "cv/dvc.yaml"
DOWNLOAD = "dvc.yaml:download"
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


def run(jobs: int, part: str | None, *, pull: bool) -> None:
    """Run the cross-validation of params.yaml, or only a part of its folds.

    Args:
        jobs: folds that are trained at a time.
        part: "K/N" trains every N-th fold, from the K-th on, and pushes them to the remote.
        pull: whether to take from the remote what other machines have pushed.
    """
    folds = part_of(_folds(), part)
    if not (pull or part or jobs > 1):
        _dvc("repro", FILE)
        return
    from ferpipe.tools import shared_folds  # imports DVC

    if part or pull:
        shared_folds.check_remote()
        # For the images alone: with `--pull` DVC is content without outputs that it does not cache.
        _dvc("repro", "--pull", DOWNLOAD)
    _dvc("repro", f"{FILE}:cv_folds", f"{FILE}:cv_records")
    if part or pull:
        changed = _changed()
        shared_folds.restore([each.stage for each in folds if each.stage in changed])
    if part or jobs > 1:
        train(folds, jobs)
    if part:
        shared_folds.push([DOWNLOAD, *(each.stage for each in folds)])
        print(f"cv: the remote has the {len(folds)} folds of part {part}")
    else:
        _dvc("repro", FILE)


def part_of(folds: Sequence[Fold], part: str | None) -> list[Fold]:
    """Every N-th fold, from the K-th on, for "K/N"; raises PipelineError for anything else."""
    if part is None:
        return list(folds)
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", part)
    k, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= k <= n <= len(folds):
        raise PipelineError(
            f"--part {part}: should be K/N, part K of N, such as 1/3, 2/3 and 3/3 for three "
            f"machines; there are {len(folds)} folds"
        )
    return list(folds[k - 1 :: n])


def _folds() -> list[Fold]:
    cv = read_section(paths.PARAMS, "cv", CrossValidation)
    return [Fold(seed, fold) for seed in cv.seeds for fold in cv.folds]


def _dvc(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], check=False)
    if done.returncode != 0:
        raise PipelineError(f"`dvc {' '.join(words)}` failed; the reason is above")


def _changed() -> set[str]:
    """The stages of `FILE` that are not up to date."""
    command = [sys.executable, "-m", "dvc", "status", "--json", FILE]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise PipelineError("`dvc status` failed; the reason is above")
    return set(json.loads(done.stdout))


def train(folds: Sequence[Fold], jobs: int) -> None:
    """Train the folds that are not up to date, `jobs` at a time, and print a line for each.

    A fold that fails stops no other, unless nothing but failures has happened twice.

    Raises:
        PipelineError: some failed.
    """
    changed = _changed()
    waiting = [each for each in folds if each.stage in changed]
    done, failed = len(folds) - len(waiting), 0
    if not waiting:
        print(f"cv: all {len(folds)} folds are up to date")
        return
    jobs = min(jobs, len(waiting))
    begin = f"{done} of {len(folds)} folds are done; {len(waiting)} to train, {jobs} at a time"
    print(f"cv: {begin}; what they print is in {LOGS}", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    running: dict[int, tuple[Fold, subprocess.Popen]] = {}  # by slot
    try:
        while waiting or running:
            for slot in range(jobs):
                if slot not in running and waiting:
                    running[slot] = waiting[0], _start(waiting.pop(0), slot, jobs)
            time.sleep(0.1)
            for slot, (fold, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[slot]
                if process.returncode == 0:
                    done += 1
                else:
                    failed += 1
                how = f"{done} of {len(folds)} done" if process.returncode == 0 else "FAILED"
                print(
                    f"cv: {how}: seed {fold.seed}, fold {fold.fold}: {_outcome(fold)}", flush=True
                )
            if failed > 1 and not done:
                waiting.clear()
    finally:
        _stop([process for _, process in running.values()])
    if failed:
        raise PipelineError(
            f"{failed} folds failed, see above and {LOGS}; the others are kept, and the next run "
            "trains what is missing"
        )


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
