"""The bootstrap over people: how often each is drawn, and the BCa interval of draws."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

# Enough that another seed moves a bound by about a tenth of a percent.
DRAWS = 10_000
SEED = 1


@lru_cache(maxsize=1)  # a stage has one set of people
def _weights(people: int) -> np.ndarray:
    """How often each person is in each draw: float64 (DRAWS, people), read-only."""
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(people, np.full(people, 1 / people), size=DRAWS).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def resample(counts: np.ndarray) -> np.ndarray:
    """Sum the counts (people, ...) of the people in each draw: (DRAWS, ...)."""
    people, *shape = counts.shape
    # Floats multiply faster, and such small ones exactly.
    return (_weights(people) @ counts.reshape(people, -1).astype(np.float64)).reshape(-1, *shape)


def bca(
    draws: np.ndarray, value: float, left_out: np.ndarray, confidence: float
) -> tuple[float, float]:
    """The BCa bounds of a statistic (Efron 1987, https://doi.org/10.1080/01621459.1987.10478410).

    The level is raised for few people as in Hesterberg 2015,
    https://doi.org/10.1080/00031305.2015.1089789, section 5.3.

    `draws` are the statistic of each draw, `value` is that of all people, and `left_out` are those
    without each person in turn; they must not all be equal.
    """
    draws = np.sort(draws)
    people, normal = len(left_out), NormalDist()
    reach = -stdtrit(people - 1, (1 - confidence) / 2) * math.sqrt(people / (people - 1))
    below = np.count_nonzero(draws < value) + np.count_nonzero(draws == value) / 2
    bias = normal.inv_cdf(min(max(below / len(draws), 1 / len(draws)), 1 - 1 / len(draws)))
    influence = left_out.mean() - left_out
    skew = float((influence**3).sum()) / (6 * float((influence**2).sum()) ** 1.5)

    def bound(z: float) -> float:
        level = normal.cdf(bias + (bias + z) / max(1 - skew * (bias + z), 1e-9))
        return float(draws[min(int(level * len(draws)), len(draws) - 1)])

    return bound(-reach), bound(reach)
