"""Fitting: compiling the network for a phase, and one epoch of it.

The loop over epochs is ours and every random draw in it is a function of (seed, epoch, step), so a
training is its weights, its optimizer and the number of the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ferpipe import augment, backbones, keras_file, records
from ferpipe.backend import keras
from ferpipe.errors import PipelineError
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


def compile_for(model: keras.Model, params: Train, phase: Phase, classes: int) -> None:
    """Compile for a phase, with everything built that would otherwise force a second trace."""
    backbone = model.get_layer("backbone")
    frozen = params.weights != "none" and params.batchnorm == "frozen"
    backbones.set_trainable(backbone, phase.train_backbone, frozen_batchnorm=frozen)
    model.compile(
        optimizer=_optimizer(params),
        loss=keras.losses.CategoricalCrossentropy(True, params.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    # Created inside the first trace, optimizer and metric state would make Keras trace again,
    # which doubles the time to the first step.
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


def run_epoch(
    model: keras.Model,
    params: Train,
    phase: Phase,
    number: int,
    epochs_before: int,
    training: records.Dataset,
    choosing: records.Dataset,
) -> Epoch:
    """Train one epoch of a phase and judge it; every draw follows from (seed, epoch, step).

    Args:
        model: the classifier, compiled for the phase.
        params: the section `train`.
        phase: the phase that the epoch is of.
        number: which of the phase's epochs it is, from 0.
        epochs_before: how many there were in all phases before it.
        training: the split to fit.
        choosing: the split to judge it by.

    Returns:
        The epoch's row of history.csv.

    Raises:
        PipelineError: the loss has left the finite numbers.
    """
    steps = -(-len(training.labels) // params.batch_size)
    classes = model.output_shape[-1]
    weights = class_weights(training.labels, classes, params.class_weights)
    _seed_dropout(model, params.seed, epochs_before)
    losses, accuracies = [], []
    rate = 0.0
    bar = tqdm(total=steps, desc=f"epoch {epochs_before + 1}", disable=None, leave=False)
    with bar:
        for step, batch in enumerate(batches(params, epochs_before, training)):
            rate = learning_rate(
                number * steps + step,
                phase.epochs * steps,
                phase.warmup_epochs * steps,
                phase.peak,
                phase.schedule,
            )
            model.optimizer.learning_rate = rate
            rng = np.random.default_rng([params.seed, epochs_before, 1 + step])
            images = training.images[batch]
            draws = augment.draw(rng, len(batch), images.shape[1], params.augment)
            labels = training.labels[batch]
            loss, accuracy = model.train_on_batch(
                augment.apply(images, draws),
                np.eye(classes, dtype=np.float32)[labels],
                sample_weight=weights[labels],
            )
            if not np.isfinite(loss):
                raise PipelineError(
                    f"the loss is not a finite number in epoch {epochs_before + 1}, "
                    f"step {step + 1}; lower train.learning_rate, or set train.clip_norm to 1"
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
    """Make every dropout layer a function of seed, epoch and step: its state counts the steps."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for layer, state in enumerate(states):
        # A key for each layer: with one for all they would drop the same images together.
        (key,) = np.random.SeedSequence([seed, epoch, layer]).generate_state(1)
        state.assign(np.array([key, 0], np.uint32))


def batches(params: Train, epoch: int, training: records.Dataset) -> Iterator[np.ndarray]:
    """The epoch's batches, as indices (batch_size,) into the training split.

    The last one is filled up from the front of the order: every batch has the same shape, so the
    step is compiled once.
    """
    count = len(training.labels)
    # The zero keeps this stream apart from the augmentation's, which ends in 1 + step.
    order = np.random.default_rng([params.seed, epoch, 0]).permutation(count)
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
