"""Baselines: classifiers without a network, on the same test images.

HOG features with kernel ridge (`hog`), and the majority class. Both learn from train and val: they
choose nothing on val, and a baseline should be as good as it can be. The network has had both too,
val to choose with or to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.data import records
from ferpipe.evaluation import hog, intervals, metrics, significance

HEADER = (
    *("classifier", "accuracy", "accuracy_low", "accuracy_high", "interval", "people"),
    *("macro_f1", "images", "p_value", "paired_test", "learned_from", "selected_on"),
)


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier on test.

    Args:
        classifier: its name.
        predicted: int (n,), class indices.
        learned_from: how many images it has learned from; None where that is not counted.
        selected_on: the split on which it was chosen: val, test or none.
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
        the majority class of all images to learn from, the first of several that are as large.
    """
    images = np.concatenate([part.images for part in learned if part.paths])
    labels = np.concatenate([part.labels for part in learned if part.paths])
    majority = Predictions(
        classifier="majority class",
        predicted=np.full(len(test.paths), np.bincount(labels).argmax()),
        learned_from=len(labels),
        selected_on="none",
    )
    subsample = hog.subsample(len(labels))  # before features are computed
    images, labels = images[subsample], labels[subsample]
    classify = hog.fit(hog.features(images), labels)
    of_hog = Predictions(
        classifier="HOG + kernel ridge",
        predicted=classify(hog.features(test.images)),
        learned_from=len(labels),
        selected_on="none",
    )
    return of_hog, majority


def rows(
    network: Predictions,
    baselines: Sequence[Predictions],
    labels: np.ndarray,
    subjects: Sequence[str],
    classes: int,
    confidence: float,
) -> list[dict[str, object]]:
    """Rows of baselines.csv: the network, then its baselines, each tested against the network.

    Args:
        network: the predictions of the network.
        baselines: those of its baselines.
        labels: int (n,), the true classes.
        subjects: who each image shows; empty where that is not known.
        classes: how many classes there are.
        confidence: level of the intervals around accuracy.

    Returns:
        A row each with the columns HEADER; the network has no `p_value` and no `paired_test`.
    """
    table = []
    for each in (network, *baselines):
        counts = metrics.confusion(labels, each.predicted, classes)[np.newaxis]
        interval = intervals.of_accuracy(labels, each.predicted, subjects, classes, confidence)
        paired = None
        if each is not network:
            paired = significance.compare_predictions(
                network.predicted == labels, each.predicted == labels, subjects
            )
        table.append(
            {
                "classifier": each.classifier,
                "accuracy": float(metrics.accuracy(counts)[0]),
                "accuracy_low": interval.low,
                "accuracy_high": interval.high,
                "interval": interval.method,
                "people": interval.people,
                "macro_f1": float(metrics.macro_f1(counts)[0]),
                "images": len(labels),
                "p_value": paired.p_value if paired else None,
                "paired_test": paired.method if paired else None,
                "learned_from": each.learned_from,
                "selected_on": each.selected_on,
            }
        )
    return table


def comparison(row: Mapping[str, object]) -> str:
    """The paired test of network and baseline in words, from a row of baselines.csv."""
    test = significance.PairedTest(row["p_value"], row["paired_test"])
    return f"network against {row['classifier']}: {test}"


def lines(table: Sequence[Mapping[str, object]]) -> list[str]:
    """The lines that the stage prints of the rows of baselines.csv, below its headline."""
    width = max(len(row["classifier"]) for row in table)
    accuracies = []
    for row in table:
        # The headline gives the caution, for the same people.
        basis = intervals.basis(row["interval"], row["people"], caution=False)
        accuracies.append(
            f"{row['classifier']:{width}}  {row['accuracy']:6.1%}  ({row['accuracy_low']:.1%} to "
            f"{row['accuracy_high']:.1%}, {basis}), macro-F1 {row['macro_f1']:.3f}"
        )
    return [*accuracies, *map(comparison, table[1:])]
