"""A phase of a training, and the network compiled for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ferpipe.data import records
from ferpipe.data.shards import Images
from ferpipe.model import backbones, devices, network
from ferpipe.model.backend import GPUS, NAME, keras
from ferpipe.params.train import Train
from ferpipe.training.augment import augmented
from ferpipe.training.frozen import features_of

# Written for TensorFlow on a CPU; elsewhere the layers stay Keras' own.
FASTER_KERNELS = NAME == "tensorflow" and not GPUS
if FASTER_KERNELS:
    from ferpipe.training import cpu_kernels, cpu_optimizer


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv.

    `loss` and `accuracy` are means over augmented batches, with label smoothing and dropout;
    `val_loss` and `val_accuracy` are computed after the epoch, without them.
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
    """Epochs with one optimizer: of the head on a frozen backbone, or of the whole network."""

    name: str
    epochs: int
    peak: float
    schedule: str = "constant"
    warmup_epochs: int = 0
    train_backbone: bool = True

    def learning_rate(self, step: int, epoch_steps: int) -> float:
        """Linear warm-up, then constant or half a cosine (https://arxiv.org/abs/1608.03983).

        `step` counts from the start of the phase.
        """
        warmup = self.warmup_epochs * epoch_steps
        if step < warmup:
            return self.peak * (step + 1) / warmup
        if self.schedule == "constant":
            return self.peak
        done = (step - warmup) / (self.epochs * epoch_steps - warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Task:
    """The compiled model (the classifier, or its head on features) and the data of a phase.

    `inputs` makes this process' rows of a batch of its input, from int (batch,) indices into the
    training split and the batch's own generator. `measured`, the same model unless the classifier
    averages over mirror images, is applied to the images of `validation`.
    """

    model: keras.Model
    measured: keras.Model
    inputs: Callable[[np.ndarray, np.random.Generator], keras.KerasTensor]
    labels: np.ndarray
    validation: records.Dataset


def compile_phase(
    model: keras.Model,
    params: Train,
    phase: Phase,
    training: records.Dataset,
    validation: records.Dataset,
    memory_mb: int = records.MEMORY_MB,
) -> Task:
    """Compile the classifier, or its head, for a phase.

    The features of a frozen backbone are computed once, of each image and of its mirror image.
    Other augmentation would need the backbone at each step, so the head is trained without it.
    A classifier that averages over mirror images is trained without that, in half the time.
    `memory_mb` is what the features of a split may take in memory, in millions of bytes.
    """
    _set_trainable(model, params, phase.train_backbone)
    if FASTER_KERNELS:
        cpu_kernels.use_faster(model)
    trained = measured = model
    selecting = validation
    if phase.train_backbone:
        if params.head == "solved" and params.mirror_average:
            trained = network.without_mirror(model)
        images = training.images
        if GPUS and training.in_memory:
            images = keras.ops.convert_to_tensor(images)  # on the device, once

        def inputs(batch: np.ndarray, rng: np.random.Generator) -> keras.KerasTensor:
            rows = devices.rows(len(batch))
            own, on_device = batch[rows], keras.ops.is_tensor(images)
            chosen = keras.ops.take(images, own, axis=0) if on_device else images[own]
            return augmented(chosen, rng, params.augment, batch_size=len(batch), rows=rows)
    else:
        pool = model.get_layer("pool")
        features = keras.Model(model.input, pool.output)
        trained = measured = keras.Model(pool.output, model.output, name="head")

        def maps_of(images: Images, *, mirrored: bool = False) -> np.ndarray:
            return features_of(features, images, params.batch_size, memory_mb, mirrored=mirrored)

        original = maps_of(training.images)
        mirror = maps_of(training.images, mirrored=True) if params.augment.flip else original
        maps = maps_of(validation.images)
        selecting = records.Dataset(maps, validation.labels, validation.paths)

        def inputs(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            flip = rng.random(len(batch)) < 0.5 * params.augment.flip
            rows = devices.rows(len(batch))
            return np.where(flip[rows, None], mirror[batch[rows]], original[batch[rows]])

    _compile(trained, params)
    return Task(trained, measured, inputs, training.labels, selecting)


def _compile(model: keras.Model, params: Train) -> None:
    model.compile(
        optimizer=_optimizer(params),
        loss=keras.losses.CategoricalCrossentropy(True, params.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=NAME == "jax",
    )
    # If the first step created the optimizer's and metrics' state, Keras would trace it twice,
    # which doubles the time to the first step.
    model.optimizer.build(model.trainable_variables)
    zeros = np.zeros((params.batch_size, model.output_shape[-1]), np.float32)
    for compute in (model.compute_loss, model.compute_metrics):
        compute(None, zeros, zeros, np.ones(params.batch_size, np.float32))
    devices.quicken(model)


def _optimizer(params: Train) -> keras.optimizers.Optimizer:
    clip, decay = params.clip_norm or None, params.weight_decay or None
    if params.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=0.9, weight_decay=decay, global_clipnorm=clip)
    else:
        adamw = cpu_optimizer.AdamW if FASTER_KERNELS else keras.optimizers.AdamW
        optimizer = adamw(weight_decay=0.0, global_clipnorm=clip)
        optimizer.weight_decay = decay  # AdamW without decay is Adam, but its constructor needs one
    if decay is not None:
        # Only kernels decay; for normalisation and biases it is harmful (Goyal et al. 2017).
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _set_trainable(model: keras.Model, params: Train, train_backbone: bool) -> None:
    frozen = params.weights != "none" and params.batchnorm == "frozen"
    backbones.set_trainable(backbones.backbone_of(model), train_backbone, frozen_batchnorm=frozen)


def finish(model: keras.Model, params: Train) -> None:
    """Restore stock layers and the trainable flags of fine-tuning, whatever phases have run."""
    _set_trainable(model, params, train_backbone=True)
    if FASTER_KERNELS:
        cpu_kernels.use_stock(model)
