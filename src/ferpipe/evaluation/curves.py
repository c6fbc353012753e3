"""ROC and precision-recall curves: each class against all others, over every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

# Points of a curve that are kept; more cannot be seen, and git keeps the tables.
POINTS = 100
ROC_HEADER = ("class", "false_positive_rate", "true_positive_rate", "auc", "selected_on")
PRECISION_RECALL_HEADER = ("class", "recall", "precision", "average_precision", "selected_on")


@dataclass(frozen=True)
class Curves:
    """Both curves of a class; without images of it, or of others, there are none.

    Args:
        name: the class.
        images: how many show it.
        roc: float (points, 2), false and true positive rates, 0..1, from (0, 0) to (1, 1).
        precision_recall: float (points, 2), recalls and precisions, 0..1, from recall 0 on.
        auc: the area under the ROC curve, 0..1; None without a curve.
        average_precision: the area under the other in steps, 0..1; None without a curve.
    """

    name: str
    images: int
    roc: np.ndarray
    precision_recall: np.ndarray
    auc: float | None
    average_precision: float | None


def curves(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[Curves]:
    """Make the curves of every class, in their order.

    Args:
        labels: int (n,), class indices.
        probabilities: float (n, classes).
        classes: class names.
    """
    return [
        _of_class(labels == number, probabilities[:, number], name)
        for number, name in enumerate(classes)
    ]


def _of_class(shows: np.ndarray, scores: np.ndarray, name: str) -> Curves:
    images = int(shows.sum())
    if images in (0, len(shows)):
        nothing = np.empty((0, 2))
        return Curves(name, images, nothing, nothing, None, None)
    false_rates, true_rates, _ = roc_curve(shows, scores)
    precisions, recalls, _ = precision_recall_curve(shows, scores, drop_intermediate=True)
    return Curves(
        name,
        images,
        _thinned(np.column_stack([false_rates, true_rates])),
        _thinned(np.column_stack([recalls, precisions])[::-1]),
        float(roc_auc_score(shows, scores)),
        float(average_precision_score(shows, scores)),
    )


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most `POINTS` of the points, evenly over their row, the first and the last among them."""
    if len(points) <= POINTS:
        return points
    # Whole numbers: the same rows on any processor.
    return points[np.arange(POINTS) * (len(points) - 1) // (POINTS - 1)]


def roc_rows(found: Sequence[Curves], selected_on: str) -> list[tuple[object, ...]]:
    """Rows of roc.csv, class after class."""
    return [
        (each.name, float(x), float(y), each.auc, selected_on)
        for each in found
        for x, y in each.roc
    ]


def precision_recall_rows(found: Sequence[Curves], selected_on: str) -> list[tuple[object, ...]]:
    """Rows of precision_recall.csv, class after class."""
    return [
        (each.name, float(x), float(y), each.average_precision, selected_on)
        for each in found
        for x, y in each.precision_recall
    ]
