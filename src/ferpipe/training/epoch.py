"""One epoch of a phase. Every random draw is a function of (seed, epoch, step)."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from tqdm import tqdm

from ferpipe.core import threads
from ferpipe.core.errors import PipelineError
from ferpipe.model import devices, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import log_loss, softmax
from ferpipe.params.train import Train
from ferpipe.training.phase import Epoch, Phase, Task

# Batches that are made while a step computes.
AHEAD = 2


def run_epoch(task: Task, params: Train, phase: Phase, phase_epoch: int, epoch: int) -> Epoch:
    """Train one epoch, with index `phase_epoch` in its phase, and measure it on validation."""
    model, labels, validation = task.model, task.labels, task.validation
    classes = model.output_shape[-1]
    targets = np.eye(classes, dtype=np.float32)
    weights = class_weights(labels, classes, params.class_weights)
    _seed_dropout(model, params.seed, epoch)
    indices = batches(params, epoch, len(labels))

    def make_inputs(step: int) -> keras.KerasTensor:
        return task.inputs(indices[step], np.random.default_rng([params.seed, epoch, 1 + step]))

    losses, accuracies, steps = [], [], len(indices)
    with (
        closing(threads.ahead(make_inputs, range(steps), AHEAD)) as made,
        tqdm(made, f"epoch {epoch + 1}", steps, disable=None, leave=False) as progress,
    ):
        for step, inputs in enumerate(progress):
            rate = phase.learning_rate(phase_epoch * steps + step, steps)
            model.optimizer.learning_rate = devices.replicated(rate)
            actual = labels[indices[step][devices.rows(params.batch_size)]]
            loss, accuracy = model.train_on_batch(
                inputs, targets[actual], sample_weight=weights[actual]
            )
            if not np.isfinite(loss):
                raise PipelineError(
                    f"the loss is not a finite number in epoch {epoch + 1}, step {step + 1}; "
                    "lower train.learning_rate, or set train.clip_norm to 1"
                )
            losses.append(float(loss))
            accuracies.append(float(accuracy))
            progress.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
    logits = saving.predict(task.measured, validation.images, params.batch_size)
    loss, accuracy = float(np.mean(losses)), float(np.mean(accuracies))
    val_loss, val_accuracy = loss_and_accuracy(validation.labels, softmax(logits))
    return Epoch(epoch + 1, phase.name, rate, loss, accuracy, val_loss, val_accuracy)


def loss_and_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Log loss and accuracy of float (n, classes) against int labels (n,)."""
    correct = probabilities.argmax(axis=1) == labels
    return log_loss(labels, probabilities), float(np.mean(correct))


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make every dropout layer a function of seed, epoch and step: its state counts the steps."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for layer, state in enumerate(states):
        # A key per layer: with a shared one all layers would drop the same images together.
        (key,) = np.random.SeedSequence([seed, epoch, layer]).generate_state(1)
        state.assign(np.array([key, 0], np.uint32))


def batches(params: Train, epoch: int, count: int) -> np.ndarray:
    """The epoch's batches: int (steps, batch_size), indices into the `count` training images."""
    # The 0 separates this random stream from that of the augmentation, which ends in 1 + step.
    order = np.random.default_rng([params.seed, epoch, 0]).permutation(count)
    # The last batch is padded from the start: all have one shape, so the step is compiled once.
    return np.resize(order, (-(-count // params.batch_size), params.batch_size))


def class_weights(labels: np.ndarray, classes: int, mode: str) -> np.ndarray:
    """Weights of the classes in the loss, float32 (classes,), with mean 1 over the images.

    `mode` is "none", or "balanced": n / (classes * images of the class), as in scikit-learn.
    """
    if mode == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
