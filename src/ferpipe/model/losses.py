"""Softmax, log loss and temperature scaling."""

from __future__ import annotations

import numpy as np
from scipy import special

# Lower limit of a probability in the log loss: one confident mistake costs at most 16.
SMALLEST = 1e-7
# A temperature within this factor of a bound counts as at the bound.
NEAR_BOUND = 1.001


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits (n, classes) into float64 probabilities of the same shape, rows summing to 1."""
    return special.softmax(logits.astype(np.float64), axis=1)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -ln(probability of the true class), from labels (n,) and float (n, classes)."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(true, SMALLEST))))


def fit_temperature(logits: np.ndarray, labels: np.ndarray, bounds: tuple[float, float]) -> float:
    """Fit the temperature T that minimises the smoothed log loss of softmax(logits / T).

    Temperature scaling after Guo et al. 2017 (https://arxiv.org/abs/1706.04599). If every image is
    classified correctly, the plain loss keeps falling as T falls. The targets are therefore
    smoothed as in Platt 1999 ("Probabilistic outputs for support vector machines", section 2.2),
    between the true class and its strongest rival: after n correct images the next one is wrong
    with probability 0.5 / (n + 1) (https://doi.org/10.1109/TIT.1981.1056331).
    """
    from scipy.optimize import minimize_scalar  # takes 0.2 s to import, and only training needs it

    true = np.arange(len(labels)), labels
    # Relative to the true class: so the loss is convex in 1 / T, and unlike one computed from
    # probabilities it never saturates.
    margins = logits - logits[true][:, None]
    largest = margins.max(axis=1)
    rivals = margins.copy()
    rivals[true] = -np.inf
    smoothing = 0.5 / (len(labels) + 1) * rivals.max(axis=1)

    def loss(inverse: float) -> float:
        rest = np.exp(inverse * (margins - largest[:, None])).sum(axis=1)
        return float(np.mean(inverse * (largest - smoothing) + np.log(rest)))

    low, high = 1 / bounds[1], 1 / bounds[0]
    inverse = float(minimize_scalar(loss, bounds=(low, high), method="bounded").x)
    if min(inverse / low, high / inverse) < NEAR_BOUND:
        print(
            f"train: the temperature ({1 / inverse:.4g}) has reached its bound: the probabilities "
            f"are not calibrated; {len(labels)} images are too few to fit it"
        )
    return 1 / inverse
