"""Stage `train`: fit the network on train; val chooses the epoch that is kept."""

from __future__ import annotations

import time
from dataclasses import astuple

import numpy as np

from ferpipe import backbones, files, fitting, keras_file, records
from ferpipe.backend import GPUS, NAME, is_out_of_memory, keras, prepare
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.fitting import Epoch, Phase, run_epoch, task
from ferpipe.model import build_model, take_head, with_probabilities
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train

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
    params: Train, schema: records.Schema, training: records.Dataset, choosing: records.Dataset
) -> tuple[keras.Model, list[Epoch], int]:
    """Fit the network.

    Args:
        params: the section `train`.
        schema: of the records.
        training: the split to fit.
        choosing: the split that chooses the epoch: val, or test where there is no val.

    Returns:
        The classifier (images to logits) with the weights of the best epoch, the history, and
        the number of that epoch (from 1): the best by `params.monitor`, then by the other one.

    Raises:
        PipelineError: see `build_model`.
    """
    if params.backend != NAME:
        raise PipelineError(
            f"train.backend = {params.backend!r}, but this process computes with {NAME}; "
            f"run `dvc repro`, or add `--backend {params.backend}`"
        )
    prepare(params.seed, params.precision, params.deterministic)
    if params.weights not in ("none", "imagenet"):
        backbones.check_weights_file(params.weights, params.weights_sha256 or "")
    model = build_model(params, schema.image_size, schema.channels, len(schema.classes))
    if params.head == "trained" and take_head(model, params.weights, schema.classes):
        print(f"train: {params.weights} tells the same classes apart: its head is taken too")
    if params.weights != "imagenet":  # those keep Keras' momentum, as in the published run
        steps = -(-len(training.labels) // params.batch_size)
        backbones.set_momentum(backbones.within(model), steps)
    rank = RANKS[params.monitor]
    chooser = "test" if schema.chosen_on_test else "val"
    history: list[Epoch] = []
    best: Epoch | None = None
    best_weights: list[np.ndarray] = []
    if params.head == "solved":
        from ferpipe.ridge import solve_head  # scikit-learn takes a second to import

        started = time.monotonic()
        best = solve_head(
            model, params, training, choosing, with_choosing=val_teaches(params, schema)
        )
        best_weights = model.get_weights()
        history.append(best)
        _tell(best, True, chooser, time.monotonic() - started)
    for phase in phases(params):
        if best is not None:
            model.set_weights(best_weights)  # fine-tuning goes on from the best head
        fitted = task(model, params, phase, training, choosing)
        best_of_phase: Epoch | None = None
        for number in range(phase.epochs):
            started = time.monotonic()
            try:
                row = run_epoch(fitted, params, phase, number, len(history))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                raise PipelineError(
                    "out of memory; lower train.batch_size or train.input_size, or set "
                    "train.precision to mixed_bfloat16"
                ) from None
            history.append(row)
            if better := best is None or rank(row) > rank(best):
                best, best_weights = row, model.get_weights()
            if best_of_phase is None or rank(row) > rank(best_of_phase):
                best_of_phase = row
            _tell(row, better, chooser, time.monotonic() - started)
            waited = row.epoch - best_of_phase.epoch
            if params.early_stopping and waited >= params.early_stopping:
                break
    assert best is not None
    model.set_weights(best_weights)
    fitting.use_stock(model)
    return model, history, best.epoch


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
    schema = records.read_schema(files.RECORDS)
    training = records.read_split(files.RECORDS, schema, "train")
    chooser = "test" if schema.chosen_on_test else "val"
    choosing = records.read_split(files.RECORDS, schema, chooser)

    device = f"{NAME} on {', '.join(GPUS) or 'the CPU'}"
    print(f"train: {params.backbone}, {len(training.labels)} images, {device}", flush=True)
    model, history, best_epoch = train(params, schema, training, choosing)

    best = history[best_epoch - 1]
    keras_file.save(with_probabilities(model), files.MODEL, schema.classes)
    rows = ((*astuple(row), chooser) for row in history)
    files.write_csv(files.HISTORY, files.HISTORY_HEADER, rows)
    facts = {
        "best_epoch": best_epoch,
        "epochs": len(history),
        "parameters": model.count_params(),
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "temperature": 1.0,
        "chosen_on_test": schema.chosen_on_test,
    }
    files.write_json(files.TRAIN_FACTS, facts)
    flag = ", chosen on test: too high" if schema.chosen_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(choosing.labels)} {chooser} images{flag}; model in {files.MODEL}"
    )
