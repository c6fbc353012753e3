"""Softmax, log loss, and the temperature that makes it smallest."""

from __future__ import annotations

import numpy as np

# The smallest probability that a log loss sees: one sure mistake costs at most 16.
SMALLEST = 1e-7


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


def sharpness(scores: np.ndarray, labels: np.ndarray, bounds: tuple[float, float]) -> float:
    """The factor on scores that makes the log loss of their softmax smallest: 1 / temperature.

    Temperature scaling after Guo et al. 2017 (https://arxiv.org/abs/1706.04599).

    Args:
        scores: float (n, classes), such as logits.
        labels: int (n,), class indices.
        bounds: least and largest factor.
    """
    from scipy.optimize import minimize_scalar  # a fifth of a second, which only training needs

    # How far each class lies above the true one: the loss is the mean of ln(sum(exp(factor * it))),
    # which is convex in the factor and, unlike a loss of probabilities, never saturates.
    above = scores - scores[np.arange(len(labels)), labels][:, None]
    most = above.max(axis=1)

    def loss(factor: float) -> float:
        rest = np.exp(factor * (above - most[:, None])).sum(axis=1)
        return float(np.mean(factor * most + np.log(rest)))

    return float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
