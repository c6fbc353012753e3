"""The training loop: phases of epochs, of which val chooses the one that is kept."""

from __future__ import annotations

import time

import numpy as np

from ferpipe.core.errors import PipelineError
from ferpipe.data import records
from ferpipe.model import saving
from ferpipe.model.backend import is_out_of_memory, keras
from ferpipe.model.losses import fit_temperature
from ferpipe.model.network import initial_model
from ferpipe.params.train import Train
from ferpipe.training.checkpoints import Checkpoints, State
from ferpipe.training.epoch import run_epoch
from ferpipe.training.phase import Epoch, Phase, Task, finish, task

# Of logits: beyond these a temperature is no calibration any more.
TEMPERATURES = (0.1, 10.0)
# What makes an epoch better than another; the second number decides between equals.
RANKS = {
    "loss": lambda row: (-row.val_loss, row.val_accuracy),
    "accuracy": lambda row: (row.val_accuracy, -row.val_loss),
}


def phases(params: Train) -> list[Phase]:
    """The phases of a training, in order."""
    head = Phase("head", params.head_epochs, params.head_learning_rate, "constant", 0, False)
    whole = Phase(
        "fine-tune",
        params.epochs,
        params.learning_rate,
        params.schedule,
        params.warmup_epochs,
        train_backbone=True,
    )
    return [phase for phase in (head, whole) if phase.epochs]


def refits_on_val(params: Train, schema: records.Schema) -> bool:
    """Whether the solved head is refit on train + val: no epochs follow for val to choose from."""
    return params.head == "solved" and not phases(params) and not schema.selected_on_test


def train(
    params: Train,
    schema: records.Schema,
    training: records.Dataset,
    choosing: records.Dataset,
    checkpoints: Checkpoints | None = None,
) -> tuple[keras.Model, list[Epoch], int]:
    """Fit the network.

    Args:
        params: the section `train`.
        schema: of the records.
        training: the split to fit.
        choosing: the split that chooses the epoch: val, or test where there is no val.
        checkpoints: where the state after an epoch is kept, and from which a stopped one resumes.

    Returns:
        The classifier (images to logits) with the weights of the best epoch, the history, and
        the number of that epoch (from 1): the best by `params.monitor`, then by the other one.

    Raises:
        PipelineError: see `initial_model`.
    """
    model = initial_model(params, schema, len(training.labels))
    rank = RANKS[params.monitor]
    chooser = "test" if schema.selected_on_test else "val"
    state = checkpoints.load() if checkpoints else None
    history = state.history if state else []
    best_weights = state.best_weights if state else []

    def ended(row: Epoch, seconds: float, optimizer: keras.optimizers.Optimizer | None) -> None:
        nonlocal best_weights
        history.append(row)
        better = max(history, key=rank) is row
        if better:
            best_weights = model.get_weights()
        _tell(row, better, chooser, seconds)
        if checkpoints:
            variables = optimizer.variables if optimizer else []
            checkpoints.after_epoch(
                lambda: State(
                    history=history,
                    weights=model.get_weights(),
                    best_weights=best_weights,
                    optimizer=[keras.ops.convert_to_numpy(value) for value in variables],
                )
            )

    if params.head == "solved" and not history:
        from ferpipe.training.ridge_head import solve_head  # scikit-learn takes a second to import

        started = time.monotonic()
        with_choosing = refits_on_val(params, schema)
        row = solve_head(model, params, training, choosing, with_choosing=with_choosing)
        ended(row, time.monotonic() - started, None)
    for phase in phases(params):
        rows = [row for row in history if row.phase == phase.name]
        if phase.is_over(rows, rank, params.early_stopping):
            continue
        # A phase begins from the best head, and resumes where it was stopped.
        if history:
            model.set_weights(state.weights if state and rows else best_weights)
        fitted = task(model, params, phase, training, choosing)
        optimizer = fitted.model.optimizer
        if state and rows:
            for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
                variable.assign(value)
        while not phase.is_over(rows, rank, params.early_stopping):
            started = time.monotonic()
            row = _epoch(fitted, params, phase, len(rows), len(history))
            rows.append(row)
            ended(row, time.monotonic() - started, optimizer)
    model.set_weights(best_weights)
    finish(model, params)
    return model, history, max(history, key=rank).epoch


def _epoch(fitted: Task, params: Train, phase: Phase, number: int, epochs_before: int) -> Epoch:
    """One epoch; a device that is too small for it is told with the remedy."""
    try:
        return run_epoch(fitted, params, phase, number, epochs_before)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise PipelineError(
            "out of memory; lower train.batch_size or train.input_size, or set "
            "train.precision to mixed_bfloat16"
        ) from None


def calibrated(
    model: keras.Model, params: Train, schema: records.Schema, choosing: records.Dataset
) -> float:
    """The temperature at which the classifier is as sure as it is right on the choosing split.

    A solved head brings its own, fitted before the head was refit on train + val.
    """
    if refits_on_val(params, schema):
        return 1.0
    logits = saving.predict(model, choosing.images, params.batch_size).astype(np.float64)
    return fit_temperature(logits, choosing.labels, TEMPERATURES)


def _tell(row: Epoch, better: bool, chooser: str, seconds: float) -> None:
    print(
        f"train: epoch {row.epoch:3d} {row.phase:9s} loss {row.loss:.3f}"
        f" accuracy {row.accuracy:.3f}"
        f"  {chooser} loss {row.val_loss:.3f} accuracy {row.val_accuracy:.4f}"
        f"  {seconds:.1f} s{'  best' if better else ''}",
        flush=True,
    )
