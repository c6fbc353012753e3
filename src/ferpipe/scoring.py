"""Metrics and their intervals, from labels and probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

# The smallest probability that a log loss sees: one sure mistake costs at most 16.
SMALLEST = 1e-7
CONFUSION_HEADER = ("actual", "predicted", "count", "share", "chosen_on")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits (n, classes) into float64 probabilities of the same shape, rows summing to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean of -ln(probability of the true class).

    Args:
        labels: int (n,), class indices.
        probabilities: float (n, classes).
    """
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(true, SMALLEST))))


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count int (classes, classes): rows the actual class, columns the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, -1)


def confusion_rows(
    counts: np.ndarray, classes: Sequence[str], chosen_on: str
) -> list[tuple[object, ...]]:
    """Rows of a confusion.csv; the share is of the actual class, 0..1.

    Args:
        counts: int (classes, classes), as `confusion` gives them.
        classes: class names.
        chosen_on: the split that chose the epoch, val or test.
    """
    totals = np.maximum(counts.sum(axis=1), 1)
    return [
        (actual, predicted, int(counts[i, j]), float(counts[i, j] / totals[i]), chosen_on)
        for i, actual in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]


def wilson(hits: float, total: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a share.

    It stays within 0..1 and holds its level for small counts, unlike the normal approximation
    (Wilson 1927; Brown, Cai & DasGupta 2001, https://doi.org/10.1214/ss/1009213286). It takes the
    images as independent; frames of one sequence are not, so the true interval is wider.

    Args:
        hits: how many of `total`; a mean over several runs need not be whole.
        total: 0 gives the interval 0..1.
        confidence: the level, such as 0.95.

    Returns:
        Lower and upper bound, 0..1.
    """
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)
