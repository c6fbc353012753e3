"""Paired tests: whether two classifiers differ by more than chance on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferpipe.evaluation.metrics import Confusions


def mcnemar(lost: int, won: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947, https://doi.org/10.1007/BF02295996).

    Of the images that only one of two equally good classifiers gets right, each wins half.
    """
    from scipy.stats import binomtest  # half a second

    return float(binomtest(won, lost + won).pvalue) if lost + won else 1.0


def sign_flip(balances: Sequence[int]) -> float:
    """The exact two-sided p-value of McNemar's test with people in place of images.

    Images of one person are right or wrong together, so each person is one trial: for equally good
    classifiers a balance, images won minus images lost, is as likely as its opposite. (Fisher's
    randomisation test, "The Design of Experiments", 1935, section 21.)
    """
    reach = sum(map(abs, balances))
    # The probability of each sum from -reach to reach, one person after the other.
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for balance in balances:
        chances = (np.roll(chances, balance) + np.roll(chances, -balance)) / 2
    extreme = np.abs(np.arange(-reach, reach + 1)) >= abs(sum(balances))
    return min(1.0, float(chances[extreme].sum()))


def compare(first: Confusions, second: Confusions) -> tuple[float, str]:
    """The p-value and name of the sign-flip test over people; over images, of McNemar's."""
    balances = np.trace(first.counts - second.counts, axis1=1, axis2=2)
    if first.over == "images" and first.seeds == 1:
        p_value = mcnemar(int((balances < 0).sum()), int((balances > 0).sum()))
        return p_value, f"McNemar's exact test over {len(balances):,} images"
    method = f"exact sign-flip test over {len(balances):,} {first.over}"
    return sign_flip(balances.tolist()), method
