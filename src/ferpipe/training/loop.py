"""The training: a solved head, then phases of epochs; the validation split selects the epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ferpipe.data import records
from ferpipe.model import devices, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import fit_temperature
from ferpipe.model.network import initial_model
from ferpipe.params.train import Train
from ferpipe.training.checkpoints import Checkpoints, State
from ferpipe.training.epoch import run_epoch
from ferpipe.training.phase import Epoch, Phase, compile_phase, finish

# Of logits; at these bounds the probabilities are not calibrated.
TEMPERATURES = (0.1, 10.0)
# Sort key of epochs, the best last, for each `train.monitor`; the second value breaks ties.
RANKS = {
    "loss": lambda row: (-row.val_loss, row.val_accuracy),
    "accuracy": lambda row: (row.val_accuracy, -row.val_loss),
    "none": lambda row: row.epoch,
}


def phases(params: Train) -> list[Phase]:
    """The phases of a training, in order."""
    head = Phase("head", params.head_epochs, params.head_learning_rate, train_backbone=False)
    whole = Phase(
        "fine-tune", params.epochs, params.learning_rate, params.schedule, params.warmup_epochs
    )
    return [phase for phase in (head, whole) if phase.epochs]


def refits_on_val(params: Train, schema: records.Schema) -> bool:
    """Whether the solved head is refit on train + val: no epochs follow that val must select."""
    return params.head == "solved" and not phases(params) and not schema.selected_on_test


def train(
    params: Train,
    schema: records.Schema,
    training: records.Dataset,
    validation: records.Dataset,
    checkpoints: Checkpoints | None = None,
    memory_mb: int = records.MEMORY_MB,
) -> tuple[keras.Model, list[Epoch], int]:
    """Train the classifier; `validation` (val, or test if there is no val) selects the epoch.

    Returns the classifier (images to logits) with the weights of the best epoch, the history, and
    the number of that epoch, from 1. A stopped training resumes from `checkpoints`. `memory_mb` is
    what the features of a split may take in memory, in millions of bytes.
    """
    model = initial_model(params, schema, len(training.labels))
    state = (checkpoints.load() if checkpoints else None) or State()
    progress = _Progress(model, params, schema, training, validation, checkpoints, memory_mb, state)
    if params.head == "solved" and not state.history:
        progress.solve_head()
    for phase in phases(params):
        progress.run_phase(phase)
    model.set_weights(state.best_weights)
    finish(model, params)
    return model, state.history, progress.best(state.history).epoch


@dataclass
class _Progress:
    """A training in progress; weights and optimizer of `state` are those it resumes from."""

    model: keras.Model
    params: Train
    schema: records.Schema
    training: records.Dataset
    validation: records.Dataset
    checkpoints: Checkpoints | None
    memory_mb: int
    state: State

    def best(self, rows: list[Epoch]) -> Epoch:
        return max(rows, key=RANKS[self.params.monitor])

    def solve_head(self) -> None:
        from ferpipe.training.ridge_head import solve_head  # SciPy is slow to import

        started = time.monotonic()
        refit = refits_on_val(self.params, self.schema)
        row = solve_head(self.model, self.params, self.training, self.validation, refit=refit)
        self._add(_of_first(row), time.monotonic() - started)

    def run_phase(self, phase: Phase) -> None:
        """Run the epochs of a phase that are not in the history yet."""
        state = self.state
        rows = [row for row in state.history if row.phase == phase.name]
        if self._is_over(phase, rows):
            return
        # A phase resumes from its last epoch, or starts from the best weights so far.
        if state.history:
            self.model.set_weights(state.weights if rows else state.best_weights)
        splits = self.training, self.validation
        task = compile_phase(self.model, self.params, phase, *splits, self.memory_mb)
        optimizer = task.model.optimizer
        if rows:
            for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
                variable.assign(value)
        while not self._is_over(phase, rows):
            started = time.monotonic()
            row = run_epoch(task, self.params, phase, len(rows), len(state.history))
            rows.append(_of_first(row))
            self._add(rows[-1], time.monotonic() - started, optimizer.variables)

    def _is_over(self, phase: Phase, rows: list[Epoch]) -> bool:
        waited = rows[-1].epoch - self.best(rows).epoch if rows else 0
        return len(rows) >= phase.epochs or 0 < self.params.early_stopping <= waited

    def _add(self, row: Epoch, seconds: float, optimizer: Sequence[keras.Variable] = ()) -> None:
        state = self.state
        state.history.append(row)
        is_best = self.best(state.history) is row
        if is_best:
            state.best_weights = self.model.get_weights()
        selected_on = self.schema.selected_on
        print(
            f"train: epoch {row.epoch:3d} {row.phase:9s} loss {row.loss:.3f} accuracy "
            f"{row.accuracy:.3f}  {selected_on} loss {row.val_loss:.3f} accuracy "
            f"{row.val_accuracy:.4f}  {seconds:.1f} s{'  best' if is_best else ''}",
            flush=True,
        )
        if self.checkpoints:
            self.checkpoints.after_epoch(
                lambda: replace(
                    state,
                    weights=self.model.get_weights(),
                    optimizer=[keras.ops.convert_to_numpy(value) for value in optimizer],
                )
            )


def _of_first(row: Epoch) -> Epoch:
    """The row of the first process, so that all select the same epoch and stop together."""
    return Epoch(**json.loads(devices.from_first(json.dumps(asdict(row)).encode())))


def fitted_temperature(
    model: keras.Model, params: Train, schema: records.Schema, validation: records.Dataset
) -> float:
    """The temperature that calibrates the classifier on the validation split."""
    if refits_on_val(params, schema):
        return 1.0  # `solve_head` has applied its temperature before
    logits = saving.predict(model, validation.images, params.batch_size).astype(np.float64)
    return fit_temperature(logits, validation.labels, TEMPERATURES)
