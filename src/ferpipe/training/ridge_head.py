"""The solved head: ridge regression in closed form; docs/training.md compares it with training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import Ridge

from ferpipe.data import records
from ferpipe.model import saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import fit_temperature, softmax
from ferpipe.params.train import Train
from ferpipe.training.augment import augmented
from ferpipe.training.epoch import class_weights, loss_and_accuracy
from ferpipe.training.phase import Epoch

# Lower limit of a feature's deviation, as a fraction of the median deviation.
MIN_DEVIATION = 0.1
# Images that are augmented at once.
AUGMENT_BATCH = 256
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

    The temperature is fitted on `validation`. With `refit` the head is then solved again on both
    splits; the row has the metrics before that, when the head had not been fitted on `validation`.
    """
    head, classes = model.get_layer("logits"), model.output_shape[-1]

    def solve_on(*splits: records.Dataset) -> tuple[np.ndarray, np.ndarray]:
        images = np.concatenate([split.images for split in splits])
        labels = np.concatenate([split.labels for split in splits])
        features = [
            saving.predict(model.get_layer("features"), copy, params.batch_size)
            for copy in with_augmented_copies(images, params)
        ]
        weights = class_weights(labels, classes, params.class_weights)
        labels = np.tile(labels, len(features))
        return solve(np.concatenate(features), labels, classes, params.ridge, weights[labels])

    kernel, bias = solve_on(training)
    head.set_weights([kernel, bias])
    scores, validation_scores = (
        saving.predict(model, split.images, params.batch_size).astype(np.float64)
        for split in (training, validation)
    )
    factor = 1 / fit_temperature(validation_scores, validation.labels, TEMPERATURES)
    loss, accuracy = loss_and_accuracy(training.labels, softmax(factor * scores))
    val_loss, val_accuracy = loss_and_accuracy(
        validation.labels, softmax(factor * validation_scores)
    )
    if refit:
        kernel, bias = solve_on(training, validation)
    head.set_weights([kernel * factor, bias * factor])
    return Epoch(1, "head", 0.0, loss, accuracy, val_loss, val_accuracy)


def with_augmented_copies(images: np.ndarray, params: Train) -> Iterator[np.ndarray]:
    """Yield the images, their mirror images if `augment.flip`, then `augmented_copies` of them.

    Images are uint8 (n, side, side, channels), augmented copies float32.
    """
    yield images
    if params.augment.flip:
        yield images[:, :, ::-1]
    for copy in range(params.augmented_copies):
        # The 1 separates this random stream from those of an epoch's order and augmentation.
        rng = np.random.default_rng([params.seed, copy, 0, 1])
        batches = np.array_split(images, -(-len(images) // AUGMENT_BATCH))
        yield np.concatenate(
            [keras.ops.convert_to_numpy(augmented(x, rng, params.augment)) for x in batches]
        )


def solve(
    features: np.ndarray, labels: np.ndarray, classes: int, ridge: float, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Regress class indicators on standardised features (n, features), with sample weights (n,).

    The L2 penalty is `ridge` times the number of features. Returns float64 kernel (features,
    classes) and bias (classes,) that apply to the unstandardised features.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    # Otherwise a feature that is nearly constant in training would dominate on new images.
    floor = MIN_DEVIATION * np.median(deviation)
    deviation = np.maximum(deviation, floor if floor > 0 else 1.0)
    fitted = Ridge(alpha=ridge * features.shape[1], solver="cholesky").fit(
        (features - mean) / deviation, np.eye(classes)[labels], sample_weight=weights
    )
    kernel = fitted.coef_.T / deviation[:, None]
    return kernel, fitted.intercept_ - mean @ kernel
