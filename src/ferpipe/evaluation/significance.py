"""Whether two classifiers differ by more than chance, on the same images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def mcnemar(lost: int, won: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    McNemar 1947, https://doi.org/10.1007/BF02295996: of the images on which the two revisions
    differ each would have won half, were they equally good.

    Args:
        lost: images that the old one alone gets right.
        won: images that the new one alone gets right.
    """
    from scipy.stats import binomtest  # half a second

    return float(binomtest(won, lost + won).pvalue) if lost + won else 1.0


def over_people(balances: Iterable[int]) -> float:
    """The exact two-sided p-value of McNemar's test with people in place of images.

    Images of one person change sides together, so each person's images are one trial: were the
    revisions equally good, its balance would as likely have the other sign. With one image a
    person it is McNemar's test. (Fisher's randomisation test, "The Design of Experiments", 1935,
    section 21.)

    Args:
        balances: for each person, images won minus images lost.
    """
    balances = list(balances)
    reach = sum(map(abs, balances))
    # How likely each sum from -reach to reach is, one person after the other.
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for balance in balances:
        chances = (np.roll(chances, balance) + np.roll(chances, -balance)) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(sum(balances))
    return min(1.0, float(chances[far].sum()))
