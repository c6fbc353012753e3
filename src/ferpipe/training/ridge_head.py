"""The head that is solved instead of trained: ridge regression, exactly.

On a few hundred faces the exact least-squares head generalises better to people never seen than
one trained by gradient steps on the same features; `docs/training.md` has by how much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import Ridge

from ferpipe.data import records
from ferpipe.model import saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import fit_temperature, log_loss, softmax
from ferpipe.params.train import Train
from ferpipe.training import augment
from ferpipe.training.epoch import class_weights
from ferpipe.training.phase import Epoch

# A feature that varies less than this share of the median one is not stretched any further.
LEAST_DEVIATION = 0.1
# Images that are changed at once.
VIEW_BATCH = 256
# A regression's scores are about 0..1; as logits they want a temperature within these bounds.
TEMPERATURES = (1 / 30, 1.0)


def solve_head(
    model: keras.Model,
    params: Train,
    training: records.Dataset,
    choosing: records.Dataset,
    *,
    with_choosing: bool,
) -> Epoch:
    """Solve the head on the features of training images, their mirror images and changed copies.

    Args:
        model: the classifier; its layers "features" and "logits" (the head) are used, and the
            latter's weights are set.
        params: the section `train`.
        training: the split to fit.
        choosing: the split that chooses the temperature.
        with_choosing: whether, once that is chosen, the head is solved anew on both splits.

    Returns:
        The row of history.csv: epoch 1, without a learning rate, of the head that has not seen
        `choosing`.
    """
    head = model.get_layer("logits")

    def solved(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = [
            saving.predict(model.get_layer("features"), view, params.batch_size)
            for view in views(images, params)
        ]
        classes = model.output_shape[-1]
        weights = np.tile(class_weights(labels, classes, params.class_weights)[labels], len(rows))
        labels = np.tile(labels, len(rows))
        return solve(np.concatenate(rows), labels, classes, params.ridge, weights)

    def scores(images: np.ndarray) -> np.ndarray:
        return saving.predict(model, images, params.batch_size).astype(np.float64)

    kernel, bias = solved(training.images, training.labels)
    head.set_weights([kernel, bias])
    seen, judged = scores(training.images), scores(choosing.images)
    factor = 1 / fit_temperature(judged, choosing.labels, TEMPERATURES)
    seen, judged = softmax(factor * seen), softmax(factor * judged)
    if with_choosing:
        kernel, bias = solved(
            np.concatenate([training.images, choosing.images]),
            np.concatenate([training.labels, choosing.labels]),
        )
    head.set_weights([kernel * factor, bias * factor])
    return Epoch(
        epoch=1,
        phase="head",
        learning_rate=0.0,
        loss=log_loss(training.labels, seen),
        accuracy=float(np.mean(seen.argmax(axis=1) == training.labels)),
        val_loss=log_loss(choosing.labels, judged),
        val_accuracy=float(np.mean(judged.argmax(axis=1) == choosing.labels)),
    )


def views(images: np.ndarray, params: Train) -> Iterator[np.ndarray]:
    """The images, mirrored where `augment.flip` is set, and `views` copies changed at random.

    Args:
        images: uint8 (n, side, side, channels).
        params: the section `train`.

    Yields:
        Arrays of that shape: the first two uint8, copies float32, values 0..255.
    """
    yield images
    if params.augment.flip:
        yield images[:, :, ::-1]
    for number in range(params.augmented_copies):
        # The last 1 keeps this stream apart from those of an epoch's order and augmentation.
        rng = np.random.default_rng([params.seed, number, 0, 1])
        batches = np.array_split(images, -(-len(images) // VIEW_BATCH))
        changed = (
            augment.apply(batch, augment.draw(rng, len(batch), images.shape[1], params.augment))
            for batch in batches
        )
        yield np.concatenate([keras.ops.convert_to_numpy(batch) for batch in changed])


def solve(
    features: np.ndarray, labels: np.ndarray, classes: int, ridge: float, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Regress the indicators of the classes on standardised features.

    Args:
        features: float (n, features).
        labels: int (n,), class indices.
        classes: how many classes there are.
        ridge: the penalty on squared weights, for features whose squares sum to 1 on average.
        weights: float (n,), what each row counts.

    Returns:
        Kernel float64 (features, classes) and bias float64 (classes,), for features as they
        come: standardising them is inside.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    # Dividing by next to nothing would let a feature that no training face shows decide.
    floor = LEAST_DEVIATION * np.median(deviation)
    deviation = np.maximum(deviation, floor if floor > 0 else 1.0)
    fitted = Ridge(alpha=ridge * features.shape[1], solver="cholesky").fit(
        (features - mean) / deviation, np.eye(classes)[labels], sample_weight=weights
    )
    kernel = fitted.coef_.T / deviation[:, None]
    return kernel, fitted.intercept_ - mean @ kernel
