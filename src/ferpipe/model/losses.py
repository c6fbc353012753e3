"""Softmax, log loss, and the temperature that makes it smallest."""

from __future__ import annotations

import numpy as np

# The smallest probability that a log loss sees: one sure mistake costs at most 16.
SMALLEST = 1e-7
# A temperature within this factor of a bound has reached it.
NEAR_BOUND = 1.001


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


def fit_temperature(logits: np.ndarray, labels: np.ndarray, bounds: tuple[float, float]) -> float:
    """The temperature T that makes the log loss of softmax(logits / T) smallest.

    Temperature scaling after Guo et al. 2017 (https://arxiv.org/abs/1706.04599). Where every image
    is right, the plain loss falls without end as T falls. So the targets are smoothed as in Platt
    1999 ("Probabilistic outputs for support vector machines", section 2.2), between the true class
    and its strongest rival: n images that are all right say that the next one is wrong with
    probability 0.5 / (n + 1) (Krichevsky & Trofimov 1981,
    https://doi.org/10.1109/TIT.1981.1056331).
    docs/training.md has what that costs.

    Prints a line where T reaches a bound: then the probabilities are no calibration.

    Args:
        logits: float (n, classes), or scores.
        labels: int (n,), class indices.
        bounds: lowest and highest temperature.
    """
    from scipy.optimize import minimize_scalar  # a fifth of a second, which only training needs

    smoothing = 0.5 / (len(labels) + 1)
    # How far each class lies above the true one: with it the loss is convex in 1 / T and, unlike a
    # loss of probabilities, never saturates.
    above = logits - logits[np.arange(len(labels)), labels][:, None]
    most = above.max(axis=1)
    rival = above.copy()
    rival[np.arange(len(labels)), labels] = -np.inf
    wrong = smoothing * rival.max(axis=1)

    def loss(factor: float) -> float:
        rest = np.exp(factor * (above - most[:, None])).sum(axis=1)
        return float(np.mean(factor * (most - wrong) + np.log(rest)))

    low, high = 1 / bounds[1], 1 / bounds[0]
    factor = float(minimize_scalar(loss, bounds=(low, high), method="bounded").x)
    if min(factor / low, high / factor) < NEAR_BOUND:
        print(
            f"train: the temperature ({1 / factor:.4g}) has reached its bound: the probabilities "
            f"are not calibrated, too few of the {len(labels)} images that choose it tell it"
        )
    return 1 / factor
