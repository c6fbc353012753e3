"""The task of all contenders, and the orders that a contender reads.

A contender is started with a size and a batch. It builds its network, takes one step and answers
"ready"; then it waits. For every line on stdin, a number of steps, it trains so many and answers
with the seconds they took. So start-up is paid once, and only one contender computes at a time.
Answers are lines of JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import numpy as np

CLASSES = 7
# Side and channels of the project's cached images; plain Keras and PyTorch get theirs ready-made.
SOURCE_SIZE = 48
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-2
CLIP_NORM = 1.0


def parser(variants: Sequence[str]) -> argparse.ArgumentParser:
    """The arguments of a contender, and of its whole short run where it has one."""
    made = argparse.ArgumentParser()
    made.add_argument("--variant", choices=variants, default=variants[0])
    made.add_argument("--size", type=int, default=64, help="side of the images, in pixels")
    made.add_argument("--batch", type=int, default=32, help="images in one step")
    return made


def random_images(count: int, size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise to train on: uint8 (count, size, size, channels) and int64 labels (count,)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, count)


def answers() -> TextIO:
    """Stdout for answers alone; what libraries print goes to stderr from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def peak_memory() -> int:
    """The largest memory that this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Turns:
    """The orders of a contender, one after another.

    Args:
        answer_to: where answers go. Made before the first step, so that its memory is separate
            from the network's.
    """

    def __init__(self, answer_to: TextIO) -> None:
        self._answer_to = answer_to
        self._built = peak_memory()

    def end(self, seconds: float) -> int:
        """Report the seconds of a turn and wait; return the steps of the next one, 0 at the end."""
        answer = {"seconds": seconds, "built": self._built, "peak": peak_memory()}
        self._answer_to.write(json.dumps(answer) + "\n")
        self._answer_to.flush()
        return int(sys.stdin.readline() or 0)


def serve(answer_to: TextIO, train: Callable[[int], float]) -> None:
    """Take a first step, then orders until stdin ends.

    Args:
        answer_to: where answers go.
        train: trains so many steps and returns the seconds they took.
    """
    turns = Turns(answer_to)
    steps = 1
    while steps:
        steps = turns.end(train(steps))
