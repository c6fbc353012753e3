"""Robustness: accuracy on corrupted test images, to say what to expect outside the test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ferpipe.data.shards import Images
from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.corruptions import Corruption
from ferpipe.evaluation.result import Result

# The row of the images as they are, with which the others compare.
UNCORRUPTED = "none"
# All corruptions predict 24 times as many; with 500 an interval is at most 9 points wide.
MOST_IMAGES = 500


def measure(
    result: Result,
    images: Images,
    predict: Callable[[np.ndarray], np.ndarray],
    corruptions: Sequence[Corruption],
    confidence: float,
) -> pd.DataFrame:
    """The table robustness.csv: the images as they are, then each strength of each corruption.

    Args:
        result: predictions on the images as they are.
        images: uint8 (n, side, side, channels); of many, MOST_IMAGES are used.
        predict: maps such images to float (n, classes).
        corruptions: none if only the images as they are shall be in the table.
        confidence: level of the intervals.
    """
    chosen = subsample(len(images))
    images, result = images[chosen], _taken(result, chosen)
    rows = [(UNCORRUPTED, None, None)]
    predicted = [result.predicted]
    for corruption in corruptions:
        rows += [(corruption.name, strength, corruption.unit) for strength in corruption.strengths]
        # All strengths together fill the batches.
        corrupted = [corruption.apply(images, strength) for strength in corruption.strengths]
        classes = predict(np.concatenate(corrupted)).argmax(axis=1)
        predicted += np.split(classes, len(corrupted))
    counted = [result.count(classes) for classes in predicted]
    accuracy_intervals = [one.accuracy_interval(confidence) for one in counted]
    table = pd.DataFrame(rows, columns=["corruption", "strength", "unit"])
    return table.astype({"strength": "Int64"}).assign(
        images=len(images),
        accuracy=[float(metrics.accuracy(one.total)) for one in counted],
        **intervals.table(accuracy_intervals, "accuracy"),
        selected_on=result.selected_on,
    )


def subsample(images: int) -> np.ndarray:
    """Ascending indices of the images to use, evenly spaced: all, or MOST_IMAGES."""
    count = min(images, MOST_IMAGES)
    return np.arange(count) * images // count


def _taken(result: Result, chosen: np.ndarray) -> Result:
    return replace(
        result,
        paths=[result.paths[index] for index in chosen],
        labels=result.labels[chosen],
        probabilities=result.probabilities[chosen],
        subjects=[result.subjects[index] for index in chosen] if result.subjects else (),
    )
