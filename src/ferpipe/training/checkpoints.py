"""A training's state after an epoch, kept while it runs: killed, it resumes and ends the same.

Every random draw is a function of (seed, epoch, step), so the state is the weights, the optimizer
and the history; which epoch is the best, and whether to stop, follow from the history.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ferpipe.core import files, machine, paths
from ferpipe.model.backend import GPUS, NAME
from ferpipe.params.train import Train
from ferpipe.training.phase import Epoch

FOLDER = paths.CACHE / "checkpoints"
# Unfinished trainings, this one included, whose checkpoints are kept; older ones are removed.
KEPT_RUNS = 3
# Checkpoints of a training that are kept: should the last one be damaged, there is one before.
KEPT = 2
# Of the training's time, at most one part in so many goes into writing them.
SHARE = 40
# The code that computes a training: what the stage lists, imported by now or not.
PACKAGE = Path(__file__).parents[1]
CODE = (
    *("core", "model", "training", "data/records.py", "data/tfrecord.py"),
    *("params/reader.py", "params/train.py"),
)
# What computes it beside our own code.
PACKAGES = ("keras", "numpy", "scikit-learn", "scipy")


@dataclass(frozen=True)
class State:
    """A training between two epochs.

    Args:
        history: the epochs so far, of all phases.
        weights: of the classifier.
        best_weights: those at the end of the best epoch.
        optimizer: the variables of the last epoch's phase; empty after a solved head.
    """

    history: list[Epoch]
    weights: Sequence[np.ndarray]
    best_weights: Sequence[np.ndarray]
    optimizer: Sequence[np.ndarray]


def key(params: Train, records: Path) -> str:
    """Hash what determines a training.

    Args:
        params: the section `train`.
        records: the folder of the records.

    Returns:
        32 hexadecimal digits of params, records, our code, package versions and processor.
    """
    listed = [PACKAGE / name for name in CODE]
    sources = [
        file for path in listed for file in (path.rglob("*.py") if path.is_dir() else [path])
    ]
    code = {file.relative_to(PACKAGE).as_posix(): _sha256(file) for file in sorted(sources)}
    packages = (*PACKAGES, *(("tensorflow",) if NAME == "tensorflow" else ("jax", "jaxlib")))
    values = {
        "train": params.model_dump(),
        "records": {path.name: _sha256(path) for path in sorted(records.iterdir())},
        "code": code,
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "computed on": [machine.processor(), machine.instruction_sets(), *GPUS],
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checkpoints:
    """The checkpoints of one training, in `.ferpipe/checkpoints/<key>/`.

    Args:
        run_key: what determines the training, see `key`.
        interval: seconds between two of them, at the least; 0: after every epoch.
    """

    def __init__(self, run_key: str, interval: float) -> None:
        self.key = run_key
        self.folder = FOLDER / run_key
        self._pause = self._interval = interval
        self._last = time.monotonic()

    def load(self) -> State | None:
        """The newest state that can be read; one that cannot is named and passed over."""
        for path in reversed(self._paths()):
            try:
                state = self._read(path)
            except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as why:
                print(f"train: {path} is no whole checkpoint of this training, ignored ({why})")
                continue
            print(f"train: resumes after epoch {len(state.history)}, from {path}", flush=True)
            return state
        return None

    def after_epoch(self, state: Callable[[], State]) -> None:
        """Write the state if it is time to.

        Args:
            state: makes the state; asked only if it is written.
        """
        begun = time.monotonic()
        if begun - self._last < self._pause:
            return
        made = state()
        arrays = {
            f"{kind}_{number:04d}": array
            for kind in ("weights", "best_weights", "optimizer")
            for number, array in enumerate(getattr(made, kind))
        }
        about = {"key": self.key, "history": [asdict(row) for row in made.history]}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with files.replacing(self.folder / f"epoch-{len(made.history):05d}.npz") as file:
            np.savez(file, **arrays)
        for old in self._paths()[:-KEPT]:
            old.unlink(missing_ok=True)
        self._last = time.monotonic()
        if self._interval:
            self._pause = max(self._interval, SHARE * (self._last - begun))

    def prune(self) -> None:
        """Remove the checkpoints of all but the last unfinished trainings."""
        others = [path for path in FOLDER.glob("*") if path != self.folder]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for old in others[KEPT_RUNS - 1 :]:
            print(f"train: {old} is removed: a training that was stopped and not resumed")
            shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Remove this training's checkpoints: it is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.npz"))

    def _read(self, path: Path) -> State:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            about = json.loads(saved["about"].tobytes())
            if about["key"] != self.key:
                raise ValueError("it belongs to another one")
            arrays = {
                kind: [saved[name] for name in sorted(saved.files) if name[:-5] == kind]
                for kind in ("weights", "best_weights", "optimizer")
            }
        return State(history=[Epoch(**row) for row in about["history"]], **arrays)
