"""One epoch of a phase.

The loop over epochs is ours and every random draw in it is a function of (seed, epoch, step), so a
training is its weights, its optimizer and the number of the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from ferpipe.core.errors import PipelineError
from ferpipe.model import saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import log_loss, softmax
from ferpipe.params.train import Train
from ferpipe.training.phase import Epoch, Phase, Task
from ferpipe.training.schedule import learning_rate


def run_epoch(task: Task, params: Train, phase: Phase, number: int, epochs_before: int) -> Epoch:
    """Train one epoch of a phase and judge it; every draw follows from (seed, epoch, step).

    Args:
        task: what the phase fits.
        params: the section `train`.
        phase: the phase that the epoch is of.
        number: which of the phase's epochs it is, from 0.
        epochs_before: how many there were in all phases before it.

    Returns:
        The epoch's row of history.csv.

    Raises:
        PipelineError: the loss has left the finite numbers.
    """
    model, labels = task.model, task.labels
    steps = -(-len(labels) // params.batch_size)
    targets = np.eye(model.output_shape[-1], dtype=np.float32)
    weights = class_weights(labels, len(targets), params.class_weights)
    _seed_dropout(model, params.seed, epochs_before)
    losses, accuracies = [], []
    rate = 0.0
    bar = tqdm(total=steps, desc=f"epoch {epochs_before + 1}", disable=None, leave=False)
    with bar:
        for step, batch in enumerate(batches(params, epochs_before, len(labels))):
            rate = learning_rate(
                number * steps + step,
                phase.epochs * steps,
                phase.warmup_epochs * steps,
                phase.peak,
                phase.schedule,
            )
            model.optimizer.learning_rate = rate
            rng = np.random.default_rng([params.seed, epochs_before, 1 + step])
            loss, accuracy = model.train_on_batch(
                task.inputs(batch, rng),
                targets[labels[batch]],
                sample_weight=weights[labels[batch]],
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
    choosing = task.choosing
    probabilities = softmax(saving.predict(model, choosing.images, params.batch_size))
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


def batches(params: Train, epoch: int, count: int) -> Iterator[np.ndarray]:
    """The epoch's batches, as indices (batch_size,) into the `count` images of the split.

    The last one is filled up from the front of the order: every batch has the same shape, so the
    step is compiled once.
    """
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
