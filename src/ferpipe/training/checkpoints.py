"""Checkpoints: the state of a training after an epoch, from which a stopped training resumes.

Every random draw is a function of (seed, epoch, step), so weights, optimizer and history are the
whole state, and a resumed training ends in the same bytes.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np

from ferpipe.core import files, machine, paths
from ferpipe.model import devices
from ferpipe.model.backend import GPUS
from ferpipe.params.train import Train
from ferpipe.training.fingerprint import digest, inputs_of
from ferpipe.training.phase import Epoch

FOLDER = paths.CACHE / "checkpoints"  # a subfolder for each key
KEPT_RUNS = 3  # unfinished trainings, with this one, whose checkpoints are kept
KEPT = 2  # checkpoints of a training: if the last one is damaged, there is one before it
SHARE = 40  # writing them takes at most 1/SHARE of the training's time
ARRAYS = ("weights", "best_weights", "optimizer")


@dataclass
class State:
    """A training between two epochs."""

    history: list[Epoch] = field(default_factory=list)  # of all phases
    weights: Sequence[np.ndarray] = ()  # of the classifier
    best_weights: Sequence[np.ndarray] = ()  # at the end of the best epoch
    optimizer: Sequence[np.ndarray] = ()  # its variables; empty after a solved head


def key(params: Train, records: Path) -> str:
    """Hash all that determines a training: params, records folder, code, packages and processor."""
    # Each kind of GPU once: a training resumes with another number of them.
    machines = [machine.processor(), machine.instruction_sets(), *dict.fromkeys(GPUS)]
    return digest({**inputs_of(params, records), "machine": machines})


class Checkpoints:
    """The checkpoints of one training, at least `interval` seconds apart; 0: after every epoch."""

    def __init__(self, run_key: str, interval: float) -> None:
        self.key = run_key
        self.folder = FOLDER / run_key
        self._pause = self._interval = interval
        self._last = time.monotonic()

    def load(self) -> State | None:
        """Read the newest checkpoint; unreadable ones are reported and skipped.

        Processes that train together all get that of the first one.
        """
        if devices.processes() == 1:
            return self._load()
        file = io.BytesIO()
        if devices.is_first() and (state := self._load()):
            self._write(file, state)
        data = devices.from_first(file.getvalue())
        return self._read(io.BytesIO(data)) if data else None

    def _load(self) -> State | None:
        for path in reversed(self._paths()):
            try:
                with path.open("rb") as file:
                    state = self._read(file)
            except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as why:
                print(f"train: {path} is no whole checkpoint of this training, ignored ({why})")
                continue
            print(f"train: resumes after epoch {len(state.history)}, from {path}", flush=True)
            return state
        return None

    def after_epoch(self, make_state: Callable[[], State]) -> None:
        """Write a checkpoint if it is due; only then is the state made.

        Of processes that train together the first one writes.
        """
        started = time.monotonic()
        if started - self._last < self._pause or not devices.is_first():
            return
        state = make_state()
        with files.replacing(self.folder / f"epoch-{len(state.history):05d}.npz") as file:
            self._write(file, state)
        for old in self._paths()[:-KEPT]:
            old.unlink(missing_ok=True)
        self._last = time.monotonic()
        if self._interval:
            self._pause = max(self._interval, SHARE * (self._last - started))

    def prune(self) -> None:
        """Remove the checkpoints of all but the most recent unfinished trainings."""
        others = (path for path in FOLDER.glob("*") if path != self.folder)
        newest_first = sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
        for old in newest_first[KEPT_RUNS - 1 :]:
            print(f"train: {old} is removed: a training that was stopped and not resumed")
            shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Remove this training's checkpoints, when it is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.npz"))

    def _write(self, file: BinaryIO, state: State) -> None:
        about = {"key": self.key, "history": [asdict(row) for row in state.history]}
        arrays = {
            f"{kind}_{i:04d}": a for kind in ARRAYS for i, a in enumerate(getattr(state, kind))
        }
        np.savez(file, about=json.dumps(about), **arrays)

    def _read(self, file: BinaryIO) -> State:
        with np.load(file, allow_pickle=False) as saved:
            about = json.loads(str(saved["about"]))
            if about["key"] != self.key:
                raise ValueError("it belongs to another training")
            arrays = {
                kind: [saved[name] for name in sorted(saved.files) if name[:-5] == kind]
                for kind in ARRAYS
            }
        return State(history=[Epoch(**row) for row in about["history"]], **arrays)
