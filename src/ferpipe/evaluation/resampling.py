"""The bootstrap over people: how often each is drawn, and the BCa interval of draws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

# Enough that another seed moves a bound by about a tenth of a percent.
DRAWS = 10_000
SEED = 1


# Numbers that are drawn, or multiplied as floats, at a time.
BLOCK = 2**22


@lru_cache(maxsize=1)  # a stage has one set of people
def _weights(people: int) -> np.ndarray:
    """How often each person is in each draw: uint8 (DRAWS, people), read-only."""
    rng, shares = np.random.default_rng(SEED), np.full(people, 1 / people)
    drawn = np.empty((DRAWS, people), np.uint8)  # nobody is in a draw 256 times
    for rows in _blocks(people):
        drawn[rows] = rng.multinomial(people, shares, size=len(drawn[rows]))
    drawn.flags.writeable = False
    return drawn


def _blocks(people: int) -> Iterator[slice]:
    """All draws, BLOCK numbers at a time."""
    size = max(1, BLOCK // people)
    return (slice(start, start + size) for start in range(0, DRAWS, size))


def resample(counts: np.ndarray) -> np.ndarray:
    """Sum the counts (people, ...) of the people in each draw: (DRAWS, ...)."""
    people, *shape = counts.shape
    weights, counts = _weights(people), counts.reshape(people, -1).astype(np.float64)
    # Floats multiply faster, and such small ones exactly.
    sums = [weights[rows].astype(np.float64) @ counts for rows in _blocks(people)]
    return np.concatenate(sums).reshape(-1, *shape)


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
