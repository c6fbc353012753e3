"""Stage `train`: fit the network on train; val chooses the epoch that is kept."""

from __future__ import annotations

import time
from dataclasses import astuple

import numpy as np

from ferpipe import files, fitting, keras_file, records
from ferpipe.backend import GPUS, NAME, is_out_of_memory, keras
from ferpipe.checkpoints import Checkpoints, State, key
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.fitting import Epoch, Phase, Task, run_epoch, task
from ferpipe.model import initial_model, with_probabilities
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.train import Train
from ferpipe.scoring import sharpness

# Of logits: what makes them softer or sharper than this is no calibration any more.
SHARPNESS = (0.1, 10.0)
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


def val_teaches(params: Train, schema: records.Schema) -> bool:
    """Whether val, once it has chosen, is learned from: no epochs follow that it would judge."""
    return params.head == "solved" and not phases(params) and not schema.chosen_on_test


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
        checkpoints: where the state after an epoch is kept, and where a stopped training goes on.

    Returns:
        The classifier (images to logits) with the weights of the best epoch, the history, and
        the number of that epoch (from 1): the best by `params.monitor`, then by the other one.

    Raises:
        PipelineError: see `initial_model`.
    """
    model = initial_model(params, schema, len(training.labels))
    rank = RANKS[params.monitor]
    chooser = "test" if schema.chosen_on_test else "val"
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
        from ferpipe.ridge import solve_head  # scikit-learn takes a second to import

        started = time.monotonic()
        with_choosing = val_teaches(params, schema)
        row = solve_head(model, params, training, choosing, with_choosing=with_choosing)
        ended(row, time.monotonic() - started, None)
    for phase in phases(params):
        rows = [row for row in history if row.phase == phase.name]
        if phase.is_over(rows, rank, params.early_stopping):
            continue
        # A phase begins from the best head, and goes on from where it was stopped.
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
    fitting.finish(model, params)
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

    A solved head brings its own; once val has taught it, val is no judge of it any more.
    """
    if val_teaches(params, schema):
        return 1.0
    logits = keras_file.predict(model, choosing.images, params.batch_size).astype(np.float64)
    return 1 / sharpness(logits, choosing.labels, SHARPNESS)


def _tell(row: Epoch, better: bool, chooser: str, seconds: float) -> None:
    print(
        f"train: epoch {row.epoch:3d} {row.phase:9s} loss {row.loss:.3f}"
        f" accuracy {row.accuracy:.3f}"
        f"  {chooser} loss {row.val_loss:.3f} accuracy {row.val_accuracy:.4f}"
        f"  {seconds:.1f} s{'  best' if better else ''}",
        flush=True,
    )


@exits_cleanly("train")
def main() -> None:
    """Read params and records, train, write model and history."""
    params = read_section(files.PARAMS, "train", Train)
    run = read_section(files.PARAMS, "run", Run)
    schema = records.read_schema(files.RECORDS)
    training = records.read_split(files.RECORDS, schema, "train")
    chooser = "test" if schema.chosen_on_test else "val"
    choosing = records.read_split(files.RECORDS, schema, chooser)

    device = f"{NAME} on {', '.join(GPUS) or 'the CPU'}"
    print(f"train: {params.backbone}, {len(training.labels)} images, {device}", flush=True)
    checkpoints = Checkpoints(key(params, files.RECORDS), run.checkpoint_seconds)
    checkpoints.prune()
    model, history, best_epoch = train(params, schema, training, choosing, checkpoints)

    best = history[best_epoch - 1]
    temperature = calibrated(model, params, schema, choosing)
    keras_file.save(with_probabilities(model, temperature), files.MODEL, schema.classes)
    rows = ((*astuple(row), chooser) for row in history)
    files.write_csv(files.HISTORY, files.HISTORY_HEADER, rows)
    facts = {
        "best_epoch": best_epoch,
        "epochs": len(history),
        "parameters": model.count_params(),
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "temperature": temperature,
        "chosen_on_test": schema.chosen_on_test,
    }
    files.write_json(files.TRAIN_FACTS, facts)
    checkpoints.remove()
    flag = ", chosen on test: too high" if schema.chosen_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(choosing.labels)} {chooser} images{flag}; model in {files.MODEL}"
    )
