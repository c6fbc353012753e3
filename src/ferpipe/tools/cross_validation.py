"""Cross-validation with several folds at a time, or in parts on several machines.

DVC runs the folds, so a plain `dvc repro cv/dvc.yaml` afterwards has nothing to train.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section
from ferpipe.tools import parallel_folds
from ferpipe.tools.parallel_folds import FILE, LOGS, Fold

DOWNLOAD = "dvc.yaml:download"


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
    failed = train(folds, jobs) if part or jobs > 1 else 0
    if part:
        changed = _changed() if failed else ()
        done = [each.stage for each in folds if each.stage not in changed]
        shared_folds.push([DOWNLOAD, *done])
        print(f"cv: the remote has {len(done)} of the {len(folds)} folds of part {part}")
    if failed:
        raise PipelineError(
            f"{failed} folds failed, see above and {LOGS}; the others are kept, and the next run "
            "trains what is missing"
        )
    if not part:
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


def train(folds: Sequence[Fold], jobs: int) -> int:
    """Train the folds that are not up to date; print a line for each, return how many failed."""
    changed = _changed()
    waiting = [each for each in folds if each.stage in changed]
    if not waiting:
        print(f"cv: all {len(folds)} folds are up to date")
        return 0
    done, failed, jobs = len(folds) - len(waiting), 0, min(jobs, len(waiting))
    begin = f"{done} of {len(folds)} folds are done; {len(waiting)} to train, {jobs} at a time"
    print(f"cv: {begin}; what they print is in {LOGS}", flush=True)

    def report(fold: Fold, succeeded: bool, line: str) -> None:
        nonlocal done, failed
        done, failed = done + succeeded, failed + (not succeeded)
        how = f"{done} of {len(folds)} done" if succeeded else "FAILED"
        print(f"cv: {how}: seed {fold.seed}, fold {fold.fold}: {line}", flush=True)

    parallel_folds.train(waiting, jobs, report)
    return failed
