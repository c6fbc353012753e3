"""The solved head: ridge regression in closed form; docs/training.md compares it with training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from ferpipe.data import records
from ferpipe.data.shards import Images
from ferpipe.model import devices
from ferpipe.model.backend import keras
from ferpipe.model.losses import fit_temperature, softmax
from ferpipe.params.train import Train
from ferpipe.training.augment import augmented
from ferpipe.training.epoch import class_weights, loss_and_accuracy
from ferpipe.training.features import Extractor, batch_size, feature_extractor
from ferpipe.training.phase import Epoch
from ferpipe.training.ridge import Ridge

# Penalties among which `ridge: auto` chooses.
RIDGES = tuple(0.1 * 2**power for power in range(8))
# Training images on which the row of history.csv is measured, at most.
MEASURED = 2000
# Regression scores are about 0..1; as logits they need a temperature within these bounds.
TEMPERATURES = (1 / 30, 1.0)


def solve_head(
    model: keras.Model,
    params: Train,
    training: records.Dataset,
    validation: records.Dataset,
    *,
    refit: bool,
) -> Epoch:
    """Solve the head, layer "logits", on the layer "features", and return its row of history.csv.

    Penalty (of `ridge: auto`) and temperature are fitted on `validation`. With `refit` the head is
    then solved again on both splits; the row has the metrics before that, when the head had not
    been fitted on `validation`. Features are not kept: those of `validation`, and of up to MEASURED
    training images, are computed a second time to measure the head.
    """
    network, classes = model.get_layer("features"), model.output_shape[-1]
    extract = feature_extractor(
        network,
        batch_size(max(params.input_sizes)),
        bfloat16=params.precision == "mixed_bfloat16",
    )
    splits = (training, validation) if refit else (training,)
    rows = sum(len(split.labels) for split in splits) * copies(params)
    problem = Ridge(network.output_shape[-1], classes, rows)
    _add(problem, extract, training, classes, params)
    ridges = RIDGES if params.ridge == "auto" else (params.ridge,)
    heads = [problem.solve(ridge) for ridge in ridges]

    scores = _scores(extract, validation.images, heads, params)
    errors = np.mean((scores - np.eye(classes)[validation.labels]) ** 2, axis=(1, 2))
    best = int(errors.argmin())
    if len(ridges) > 1:
        print(f"train: ridge {ridges[best]:.3g} has the smallest error on {len(scores[0])} images")
    factor = 1 / fit_temperature(scores[best], validation.labels, TEMPERATURES)
    val_loss, val_accuracy = loss_and_accuracy(validation.labels, softmax(factor * scores[best]))
    measured = training.take(np.arange(len(training.labels))[:MEASURED])
    (scores,) = _scores(extract, measured.images, [heads[best]], params)
    loss, accuracy = loss_and_accuracy(measured.labels, softmax(factor * scores))
    kernel, bias = heads[best]
    if refit:
        _add(problem, extract, validation, classes, params)
        kernel, bias = problem.solve(ridges[best])
    head = devices.arrays_from_first([kernel * factor, bias * factor])
    model.get_layer("logits").set_weights(head)
    return Epoch(1, "head", 0.0, loss, accuracy, val_loss, val_accuracy)


def _add(
    problem: Ridge, extract: Extractor, split: records.Dataset, classes: int, params: Train
) -> None:
    """Add the features of all copies of a split's images to the regression."""
    weights = class_weights(split.labels, classes, params.class_weights)[split.labels]
    size = batch_size(max(params.input_sizes))
    starts = range(0, len(split.labels), size)
    for start in tqdm(starts, desc="features", disable=None, leave=False):
        part = slice(start, start + size)
        for copy in with_augmented_copies(split.images[part], params, start):
            problem.add(extract(copy), split.labels[part], weights[part])


def _scores(
    extract: Extractor,
    images: Images,
    heads: list[tuple[np.ndarray, np.ndarray]],
    params: Train,
) -> np.ndarray:
    """Scores of images by several heads, float64 (heads, n, classes)."""
    size, scores = batch_size(max(params.input_sizes)), []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        features = extract(batch)
        if params.mirror_average:
            features = (features + extract(batch[:, :, ::-1])) / 2
        scores.append([features @ kernel + bias for kernel, bias in heads])
    return np.concatenate(scores, axis=1)


def copies(params: Train) -> int:
    """Rows per training image: itself, its mirror image, augmented copies."""
    return 1 + params.augment.flip + params.augmented_copies


def with_augmented_copies(
    images: np.ndarray, params: Train, first: int = 0
) -> Iterator[np.ndarray]:
    """Yield the images, their mirror images if `augment.flip`, then `augmented_copies` of them.

    Images are uint8 (n, side, side, channels), augmented copies float32. `first` is the index of
    the first image in its split: the draws are a function of it.
    """
    yield images
    if params.augment.flip:
        yield images[:, :, ::-1]
    for copy in range(params.augmented_copies):
        # The 1 separates this random stream from those of an epoch's order and augmentation.
        rng = np.random.default_rng([params.seed, copy, first, 1])
        yield keras.ops.convert_to_numpy(augmented(images, rng, params.augment))
