"""The learning rate as a function of the step: warm-up, then constant or cosine."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, warmup: int, peak: float, schedule: str) -> float:
    """Rise linearly, then stay or fall along half a cosine.

    Cosine after SGDR, Loshchilov & Hutter 2017 (https://arxiv.org/abs/1608.03983), without
    restarts.

    Args:
        step: from 0.
        steps: how many there are in all.
        warmup: steps over which the rate rises to `peak`.
        peak: the rate after warm-up.
        schedule: "constant" or "cosine".
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
