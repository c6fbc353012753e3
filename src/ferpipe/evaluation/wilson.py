"""Wilson's interval of a share."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(hits: float, total: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a share.

    It stays within 0..1 and holds its level for small counts, unlike the normal approximation
    (Wilson 1927; Brown, Cai & DasGupta 2001, https://doi.org/10.1214/ss/1009213286). It takes the
    images as independent; those of one subject are not, so the true interval is wider.

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
