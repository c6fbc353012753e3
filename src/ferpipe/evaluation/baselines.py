"""What stands beside the network on the same test images, so that a reader sees what it adds.

Two bars: HOG features with kernel ridge (`hog`), and the class that most images show. Both learn
from train and val: they have nothing to choose on val, and a bar should be as high as it can be.
The network has had both too, val to choose with or to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.data import records
from ferpipe.evaluation import hog, intervals, metrics

HEADER = (
    *("classifier", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "images"),
    *("learned_from", "chosen_on"),
)


@dataclass(frozen=True)
class Judged:
    """What a classifier made of test.

    Args:
        name: of the classifier.
        predicted: int (n,), class indices.
        learned_from: how many images it has learned from; None where that is not told.
        chosen_on: the split that chose what it is: val, test or none.
    """

    name: str
    predicted: np.ndarray
    learned_from: int | None
    chosen_on: str


def predict(learned: Sequence[records.Dataset], test: records.Dataset) -> tuple[Judged, Judged]:
    """Let both bars predict test.

    Args:
        learned: the splits to learn from; those that are empty are left out.
        test: the images to judge (n).

    Returns:
        HOG with kernel ridge, which learns from a subsample of many images (`hog.subsample`), and
        the majority class, of several as large the first.
    """
    images = np.concatenate([part.images for part in learned if part.paths])
    labels = np.concatenate([part.labels for part in learned if part.paths])
    majority = np.full(len(test.paths), np.bincount(labels).argmax())
    bar = Judged("majority class", majority, len(labels), "none")
    rows = hog.subsample(len(labels))  # before features are computed
    images, labels = images[rows], labels[rows]
    classify = hog.fit(hog.features(images), labels)
    found = classify(hog.features(test.images))
    return Judged("HOG + kernel ridge", found, len(labels), "none"), bar


def rows(
    judged: Sequence[Judged],
    labels: np.ndarray,
    subjects: Sequence[str],
    classes: int,
    confidence: float,
) -> list[tuple[object, ...]]:
    """Rows of bars.csv.

    Args:
        judged: the network and its bars.
        labels: int (n,), the true classes.
        subjects: who each image shows; empty where that is not known.
        classes: how many classes there are.
        confidence: level of the intervals around accuracy.
    """
    table = []
    for each in judged:
        counts = metrics.confusion(labels, each.predicted, classes)[np.newaxis]
        interval, _ = intervals.intervals(labels, each.predicted, subjects, classes, confidence)
        accuracy = (float(metrics.accuracy(counts)[0]), interval.low, interval.high)
        macro_f1 = float(metrics.macro_f1(counts)[0])
        told = "" if each.learned_from is None else each.learned_from
        table.append((each.name, *accuracy, macro_f1, len(labels), told, each.chosen_on))
    return table


def lines(table: Sequence[Sequence[object]]) -> list[str]:
    """What the stage prints of the rows of bars.csv."""
    width = max(len(str(row[0])) for row in table)
    return [
        f"{name:{width}}  {accuracy:6.1%}  ({low:.1%} to {high:.1%}), macro-F1 {macro_f1:.3f}"
        for name, accuracy, low, high, macro_f1, *_ in table
    ]
