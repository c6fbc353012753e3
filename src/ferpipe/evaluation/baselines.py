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


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier on test.

    Args:
        classifier: its name.
        predicted: int (n,), class indices.
        learned_from: how many images it has learned from; None where that is not counted.
        selected_on: the split on which it was selected: val, test or none.
    """

    classifier: str
    predicted: np.ndarray
    learned_from: int | None
    selected_on: str


def predict(
    learned: Sequence[records.Dataset], test: records.Dataset
) -> tuple[Predictions, Predictions]:
    """Fit both baselines and predict test.

    Args:
        learned: the splits to learn from; those that are empty are left out.
        test: the images to predict (n).

    Returns:
        HOG with kernel ridge, which learns from a subsample of many images (`hog.subsample`), and
        the majority class, the first of several that are as large.
    """
    images = np.concatenate([split.images for split in learned if split.paths])
    labels = np.concatenate([split.labels for split in learned if split.paths])
    majority = np.full(len(test.paths), np.bincount(labels).argmax())
    subsample = hog.subsample(len(labels))  # before features are computed
    classify = hog.fit(hog.features(images[subsample]), labels[subsample])
    predicted = classify(hog.features(test.images))
    return (
        Predictions("HOG + kernel ridge", predicted, len(subsample), "none"),
        Predictions("majority class", majority, len(labels), "none"),
    )


def compare(
    network: Predictions,
    predictions: Sequence[Predictions],
    *,
    labels: np.ndarray,
    subjects: Sequence[str],
    classes: int,
    confidence: float,
) -> pd.DataFrame:
    """The table baselines.csv: the network, then its baselines, each tested against the network.

    Args:
        network: the predictions of the network.
        predictions: those of its baselines.
        labels: int (n,), the true classes.
        subjects: of each image (n); none, or an empty one, where it is not known.
        classes: how many classes there are.
        confidence: level of the intervals of accuracy.

    Returns:
        A row for each classifier; the network has no `p_value` and no `paired_test`.
    """
    classifiers = (network, *predictions)
    rights = [classifier.predicted == labels for classifier in classifiers]
    confusions = np.stack([metrics.confusion(labels, c.predicted, classes) for c in classifiers])
    tests = [significance.compare_predictions(rights[0], right, subjects) for right in rights[1:]]
    accuracy_intervals = [intervals.of_accuracy(right, subjects, confidence) for right in rights]
    return pd.DataFrame(
        {
            "classifier": [classifier.classifier for classifier in classifiers],
            "accuracy": metrics.accuracy(confusions),
            **intervals.columns(accuracy_intervals, "accuracy"),
            "macro_f1": metrics.macro_f1(confusions),
            "images": len(labels),
            "p_value": [None, *(test.p_value for test in tests)],
            "paired_test": [None, *(test.method for test in tests)],
            "learned_from": pd.array([c.learned_from for c in classifiers], dtype="Int64"),
            "selected_on": [classifier.selected_on for classifier in classifiers],
        }
    )


def comparison(row: Mapping[str, object]) -> str:
    """The paired test of network and baseline in words, from a row of baselines.csv."""
    test = significance.PairedTest(row["p_value"], row["paired_test"])
    return f"network against {row['classifier']}: {test}"


def lines(table: pd.DataFrame) -> list[str]:
    """The lines that the stage prints of baselines.csv."""
    rows = table.to_dict("records")
    width = max(len(row["classifier"]) for row in rows)
    accuracies = [
        f"{row['classifier']:{width}}  {row['accuracy']:6.1%}  ({row['accuracy_low']:.1%} to "
        f"{row['accuracy_high']:.1%}, {intervals.basis(row['interval'], row['people'])}), "
        f"macro-F1 {row['macro_f1']:.3f}"
        for row in rows
    ]
    return [*accuracies, *map(comparison, rows[1:])]
