"""Baselines: classifiers without a network, on the same test images.

HOG features with kernel ridge (`hog`), and the majority class. Both learn from train and val: they
select nothing on val, and the network may use val as well, to select its epoch or to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferpipe.data import records
from ferpipe.evaluation import hog, intervals, metrics, significance
from ferpipe.evaluation.result import Result


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier on test."""

    classifier: str
    predicted: np.ndarray  # int (n,), class indices
    learned_from: int | None  # images; None where that is not counted
    selected_on: str  # the split on which it was selected: val, test or none


def predict(
    learned: Sequence[records.Dataset], test: records.Dataset
) -> tuple[Predictions, Predictions]:
    """Fit HOG with kernel ridge, on a subsample of many images, and the majority class.

    `learned` are the splits to learn from. Of several largest classes the first is predicted.
    """
    labels = np.concatenate([split.labels for split in learned])
    majority = np.full(len(test.labels), np.bincount(labels).argmax())
    subsample = hog.subsample(len(labels))
    classifier = hog.fit(_features(learned, subsample), labels[subsample])
    predicted = hog.classify(classifier, test.images)
    return (
        Predictions("HOG + kernel ridge", predicted, len(subsample), "none"),
        Predictions("majority class", majority, len(labels), "none"),
    )


def _features(splits: Sequence[records.Dataset], rows: np.ndarray) -> np.ndarray:
    """HOG features of the images at ascending positions in the splits, one after the other."""
    ends = np.cumsum([len(split.labels) for split in splits])
    parts = np.split(rows, np.searchsorted(rows, ends[:-1]))
    starts = ends - [len(split.labels) for split in splits]
    return np.concatenate(
        [
            hog.features(split.take(part - start).images)
            for split, part, start in zip(splits, parts, starts, strict=True)
            if len(part)
        ]
    )


def compare(result: Result, predictions: Sequence[Predictions], confidence: float) -> pd.DataFrame:
    """The table baselines.csv: the network, then its baselines, each tested against the network."""
    network = Predictions("network", result.predicted, None, result.selected_on)
    classifiers = pd.DataFrame([network, *predictions])
    counted = [result.count(predicted) for predicted in classifiers["predicted"]]
    totals = np.stack([one.total for one in counted])
    accuracy_intervals = [one.accuracy_interval(confidence) for one in counted]
    tests = [significance.compare(counted[0], one) for one in counted[1:]]
    p_values, methods = zip(*tests, strict=True)
    return pd.DataFrame(
        {
            "classifier": classifiers["classifier"],
            "accuracy": metrics.accuracy(totals),
            **intervals.table(accuracy_intervals, "accuracy"),
            "macro_f1": metrics.macro_f1(totals),
            "images": len(result.labels),
            "p_value": [None, *p_values],
            "paired_test": [None, *methods],
            "learned_from": classifiers["learned_from"].astype("Int64"),
            "selected_on": classifiers["selected_on"],
        }
    )


def comparison(row: Mapping[str, object]) -> str:
    """The paired test of network and baseline in words, from a row of baselines.csv."""
    return f"network against {row['classifier']}: p = {row['p_value']:.2g}, {row['paired_test']}"


def lines(table: pd.DataFrame) -> list[str]:
    """The lines that the stage prints of baselines.csv."""
    rows = table.to_dict("records")
    width = max(map(len, table["classifier"]))
    accuracies = [
        f"{row['classifier']:{width}}  {row['accuracy']:6.1%}  ({row['accuracy_low']:.1%} to "
        f"{row['accuracy_high']:.1%}, {intervals.basis(row['interval'], row['people'])}), "
        f"macro-F1 {row['macro_f1']:.3f}"
        for row in rows
    ]
    return [*accuracies, *map(comparison, rows[1:])]
