"""The head that is solved instead of trained: ridge regression, exactly.

On a few hundred faces the exact least-squares head generalises better to people never seen than
one trained by gradient steps on the same features; `docs/training.md` has by how much.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge

from ferpipe import keras_file, records
from ferpipe.backend import keras
from ferpipe.fitting import Epoch, class_weights
from ferpipe.params.train import Train
from ferpipe.scoring import log_loss, softmax

# A feature that varies less than this share of the median one is not stretched any further.
LEAST_DEVIATION = 0.1
# A regression's scores are about 0..1; as logits they want a factor within these bounds.
SHARPNESS = (1.0, 30.0)


def solve_head(
    model: keras.Model, params: Train, training: records.Dataset, choosing: records.Dataset
) -> Epoch:
    """Solve the head on the features of every training image, and of its mirror image.

    Args:
        model: the classifier; its layers "pool" (the features) and "logits" (the head) are used,
            and the latter's weights are set.
        params: the section `train`.
        training: the split to fit.
        choosing: the split that chooses how sharp the probabilities are.

    Returns:
        The row of history.csv: epoch 1, without a learning rate.
    """
    pooled = keras.Model(model.input, model.get_layer("pool").output)

    def features(images: np.ndarray) -> np.ndarray:
        return keras_file.predict(pooled, images, params.batch_size)

    rows = [features(training.images)]
    if params.augment.flip:
        rows.append(features(training.images[:, :, ::-1]))
    labels = np.tile(training.labels, len(rows))
    classes = model.output_shape[-1]
    weights = class_weights(training.labels, classes, params.class_weights)[labels]
    kernel, bias = solve(np.concatenate(rows), labels, classes, params.ridge, weights)

    judged = features(choosing.images).astype(np.float64) @ kernel + bias
    factor = sharpness(judged, choosing.labels)
    model.get_layer("logits").set_weights([kernel * factor, bias * factor])

    seen = softmax(factor * (rows[0].astype(np.float64) @ kernel + bias))
    found = softmax(factor * judged)
    return Epoch(
        epoch=1,
        phase="head",
        learning_rate=0.0,
        loss=log_loss(training.labels, seen),
        accuracy=float(np.mean(seen.argmax(axis=1) == training.labels)),
        val_loss=log_loss(choosing.labels, found),
        val_accuracy=float(np.mean(found.argmax(axis=1) == choosing.labels)),
    )


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


def sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor on the scores, float (n, classes), that makes their log loss smallest.

    Temperature scaling after Guo et al. 2017 (https://arxiv.org/abs/1706.04599).
    """
    found = minimize_scalar(
        lambda factor: log_loss(labels, softmax(factor * scores)), bounds=SHARPNESS
    )
    return float(found.x)
