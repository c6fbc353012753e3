"""Stage `train`: fit the network on train; val chooses the epoch that is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

import numpy as np
from tqdm import tqdm

from ferpipe import augment, backbones, files, keras_file, records
from ferpipe.backend import keras, prepare
from ferpipe.errors import exits_cleanly
from ferpipe.model import build_model, with_probabilities
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train
from ferpipe.schedule import learning_rate
from ferpipe.scoring import log_loss, softmax


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv.

    `loss` and `accuracy` are means over the epoch's augmented batches, with label smoothing and
    dropout; `val_loss` and `val_accuracy` are of the epoch's end, without them.
    """

    epoch: int
    phase: str
    learning_rate: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Phase:
    """A run of epochs with one optimizer: the head on a frozen backbone, or everything."""

    name: str
    epochs: int
    peak: float
    schedule: str
    warmup_epochs: int
    train_backbone: bool


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
        the number of that epoch (from 1): the highest val accuracy, then the lowest val loss.

    Raises:
        PipelineError: see `build_model`.
    """
    prepare(params.seed, params.precision, params.deterministic)
    if params.weights not in ("none", "imagenet"):
        backbones.check_weights_file(params.weights, params.weights_sha256 or "")
    model = build_model(params, schema.image_size, schema.channels, len(schema.classes))
    history: list[Epoch] = []
    best: Epoch | None = None
    best_weights: list[np.ndarray] = []
    for phase in phases(params):
        _compile(model, params, phase, len(schema.classes))
        waited = 0
        for number in range(phase.epochs):
            started = time.monotonic()
            row = _run_epoch(model, params, phase, number, len(history), training, choosing)
            history.append(row)
            better = best is None or _rank(row) > _rank(best)
            if better:
                best, best_weights, waited = row, model.get_weights(), 0
            else:
                waited += 1
            _tell(row, better, time.monotonic() - started)
            if params.early_stopping and waited >= params.early_stopping:
                break
    assert best is not None
    model.set_weights(best_weights)
    return model, history, best.epoch


def _rank(row: Epoch) -> tuple[float, float]:
    return row.val_accuracy, -row.val_loss


def _compile(model: keras.Model, params: Train, phase: Phase, classes: int) -> None:
    """Compile for a phase, with everything built that would otherwise force a second trace."""
    backbone = model.get_layer("backbone")
    backbones.set_trainable(backbone, phase.train_backbone, pretrained=params.weights != "none")
    model.compile(
        optimizer=_optimizer(params),
        loss=keras.losses.CategoricalCrossentropy(True, params.label_smoothing),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    # Created inside the first trace, optimizer and metric state would make Keras trace again,
    # which for ResNet101 doubles the 25 s to the first step.
    model.optimizer.build(model.trainable_variables)
    nothing = np.zeros((params.batch_size, classes), np.float32)
    weights = np.ones(params.batch_size, np.float32)
    model.compute_loss(None, nothing, nothing, weights)
    model.compute_metrics(None, nothing, nothing, weights)


def _optimizer(params: Train) -> keras.optimizers.Optimizer:
    clip = params.clip_norm or None
    if params.optimizer == "adam":
        return keras.optimizers.Adam(global_clipnorm=clip)
    decay = params.weight_decay
    if params.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=decay, global_clipnorm=clip)
    else:
        optimizer = keras.optimizers.SGD(momentum=0.9, weight_decay=decay, global_clipnorm=clip)
    # Decay is for kernels; on normalisation and biases it only hurts (Goyal et al. 2017).
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _run_epoch(
    model: keras.Model,
    params: Train,
    phase: Phase,
    number: int,
    epochs_before: int,
    training: records.Dataset,
    choosing: records.Dataset,
) -> Epoch:
    """Train one epoch of a phase and judge it; every draw follows from (seed, epoch, step)."""
    steps = -(-len(training.labels) // params.batch_size)
    classes = model.output_shape[-1]
    weights = class_weights(training.labels, classes, params.class_weights)
    _seed_dropout(model, params.seed, epochs_before)
    losses, accuracies = [], []
    rate = 0.0
    bar = tqdm(total=steps, desc=f"epoch {epochs_before + 1}", disable=None, leave=False)
    with bar:
        for step, batch in enumerate(_batches(params, epochs_before, training)):
            rate = learning_rate(
                number * steps + step,
                phase.epochs * steps,
                phase.warmup_epochs * steps,
                phase.peak,
                phase.schedule,
            )
            model.optimizer.learning_rate = rate
            rng = np.random.default_rng([params.seed, epochs_before, step])
            images = training.images[batch]
            draws = augment.draw(rng, len(batch), images.shape[1], params.augment)
            labels = training.labels[batch]
            loss, accuracy = model.train_on_batch(
                augment.apply(images, draws),
                np.eye(classes, dtype=np.float32)[labels],
                sample_weight=weights[labels],
            )
            losses.append(float(loss))
            accuracies.append(float(accuracy))
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
            bar.update()
    probabilities = softmax(keras_file.predict(model, choosing.images, params.batch_size))
    return Epoch(
        epoch=epochs_before + 1,
        phase=phase.name,
        learning_rate=rate,
        loss=float(np.mean(losses)),
        accuracy=float(np.mean(accuracies)),
        val_loss=log_loss(choosing.labels, probabilities),
        val_accuracy=float(np.mean(probabilities.argmax(axis=1) == choosing.labels)),
    )


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make dropout a function of seed, epoch and step: its state counts up from here."""
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(np.array([seed, epoch << 20], np.uint32))


def _batches(params: Train, epoch: int, training: records.Dataset) -> Iterator[np.ndarray]:
    """The epoch's batches, as indices (batch_size,) into the training split.

    The last one is filled up from the front of the order: every batch has the same shape, so the
    step is compiled once.
    """
    count = len(training.labels)
    order = np.random.default_rng([params.seed, epoch]).permutation(count)
    steps = -(-count // params.batch_size)
    return iter(np.resize(order, (steps, params.batch_size)))


def class_weights(labels: np.ndarray, classes: int, how: str) -> np.ndarray:
    """What an image of each class counts for in the loss.

    Args:
        labels: int (n,), class indices.
        classes: how many classes there are.
        how: "none", or "balanced": n / (classes * images of the class), as in scikit-learn.

    Returns:
        float32 (classes,), 1 on average over the images.
    """
    if how == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def _tell(row: Epoch, better: bool, seconds: float) -> None:
    print(
        f"train: epoch {row.epoch:3d} {row.phase:9s} loss {row.loss:.3f}"
        f" accuracy {row.accuracy:.3f}"
        f"  val loss {row.val_loss:.3f} accuracy {row.val_accuracy:.4f}"
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

    model, history, best_epoch = train(params, schema, training, choosing)

    best = history[best_epoch - 1]
    keras_file.save(with_probabilities(model), files.MODEL)
    header = (*(field.name for field in fields(Epoch)), "chosen_on")
    files.write_csv(files.HISTORY, header, ((*astuple(row), chooser) for row in history))
    facts = {
        "best_epoch": best_epoch,
        "epochs": len(history),
        "parameters": model.count_params(),
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "chosen_on_test": schema.chosen_on_test,
    }
    files.write_json(files.TRAIN_FACTS, facts)
    flag = " (which is test: too high)" if schema.chosen_on_test else ""
    print(
        f"train: epoch {best_epoch} of {len(history)} kept, accuracy {best.val_accuracy:.2%} on "
        f"{len(choosing.labels)} {chooser} images{flag}; model in {files.MODEL}"
    )
