"""A phase of a training: its epochs, and the network compiled for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.data import records
from ferpipe.model import backbones, saving
from ferpipe.model.backend import GPUS, NAME, keras
from ferpipe.params.train import Train
from ferpipe.training import augment

# They are TensorFlow's and for a processor; elsewhere the layers stay Keras' own.
FASTER_KERNELS = NAME == "tensorflow" and not GPUS
if FASTER_KERNELS:
    from ferpipe.training import cpu_kernels


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

    def is_over(
        self, rows: Sequence[Epoch], rank: Callable[[Epoch], tuple], early_stopping: int
    ) -> bool:
        """Tell whether no epoch follows.

        Args:
            rows: the phase's epochs so far.
            rank: what makes one better than another.
            early_stopping: epochs to wait for a better one; 0: to the end.
        """
        if not rows or not early_stopping:
            return len(rows) >= self.epochs
        waited = rows[-1].epoch - max(rows, key=rank).epoch
        return len(rows) >= self.epochs or waited >= early_stopping


@dataclass(frozen=True)
class Task:
    """What a phase fits.

    Args:
        model: what is trained: the classifier, or its head on features of the frozen backbone.
        inputs: makes a batch of what `model` takes, from int (batch,) indices into the training
            split and the batch's own generator.
        labels: int (n,), of the training split.
        choosing: the split that judges an epoch; its `images` are what `model` takes.
    """

    model: keras.Model
    inputs: Callable[[np.ndarray, np.random.Generator], keras.KerasTensor]
    labels: np.ndarray
    choosing: records.Dataset


def task(
    model: keras.Model,
    params: Train,
    phase: Phase,
    training: records.Dataset,
    choosing: records.Dataset,
) -> Task:
    """Make ready what a phase fits, compiled.

    A frozen backbone is asked once for the features of every image, and of its mirror image where
    `augment.flip` is set; the other changes would ask it anew at each step, so the head's phase
    goes without them.

    Args:
        model: the classifier, see `build_model`.
        params: the section `train`.
        phase: the phase.
        training: the split to fit.
        choosing: the split to judge by.
    """
    _set_trainable(model, params, phase.train_backbone)
    if FASTER_KERNELS:
        cpu_kernels.use_faster(model)
    if phase.train_backbone:
        images = keras.ops.convert_to_tensor(training.images)  # on the device, once

        def augmented(batch: np.ndarray, rng: np.random.Generator) -> keras.KerasTensor:
            draws = augment.draw(rng, len(batch), images.shape[1], params.augment)
            return augment.apply(keras.ops.take(images, batch, axis=0), draws)

        compile_for(model, params)
        return Task(model, augmented, training.labels, choosing)

    pooled = keras.Model(model.input, model.get_layer("pool").output)
    head = keras.Model(model.get_layer("pool").output, model.output, name="head")

    def features(images: np.ndarray) -> np.ndarray:
        return saving.predict(pooled, images, params.batch_size).astype(np.float32)

    sides = np.stack([features(training.images), features(training.images[:, :, ::-1])])

    def kept(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mirrored = rng.random(len(batch)) < 0.5 * params.augment.flip
        return sides[mirrored.astype(int), batch]

    compile_for(head, params)
    seen = records.Dataset(features(choosing.images), choosing.labels, choosing.paths)
    return Task(head, kept, training.labels, seen)


def compile_for(model: keras.Model, params: Train) -> None:
    """Compile, with everything built that would otherwise force a second trace."""
    model.compile(
        optimizer=_optimizer(params),
        loss=keras.losses.CategoricalCrossentropy(True, params.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=NAME == "jax",
    )
    # Created inside the first trace, optimizer and metric state would make Keras trace again,
    # which doubles the time to the first step.
    model.optimizer.build(model.trainable_variables)
    nothing = np.zeros((params.batch_size, model.output_shape[-1]), np.float32)
    weights = np.ones(params.batch_size, np.float32)
    model.compute_loss(None, nothing, nothing, weights)
    model.compute_metrics(None, nothing, nothing, weights)


def _optimizer(params: Train) -> keras.optimizers.Optimizer:
    clip = params.clip_norm or None
    decay = params.weight_decay or None
    if params.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=0.9, weight_decay=decay, global_clipnorm=clip)
    else:
        adamw = cpu_kernels.AdamW if FASTER_KERNELS else keras.optimizers.AdamW
        optimizer = adamw(weight_decay=0.0, global_clipnorm=clip)
        optimizer.weight_decay = decay
    if decay is None:
        return optimizer
    # Decay is for kernels; on normalisation and biases it only hurts (Goyal et al. 2017).
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _set_trainable(model: keras.Model, params: Train, train_backbone: bool) -> None:
    frozen = params.weights != "none" and params.batchnorm == "frozen"
    backbones.set_trainable(backbones.within(model), train_backbone, frozen_batchnorm=frozen)


def finish(model: keras.Model, params: Train) -> None:
    """Leave a trained network as it is saved, whatever phases this process has seen of it.

    Its layers are Keras' own again, and those are trainable that fine-tuning trains.
    """
    _set_trainable(model, params, train_backbone=True)
    if FASTER_KERNELS:
        cpu_kernels.use_stock(model)
