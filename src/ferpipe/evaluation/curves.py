"""ROC and precision-recall curves: each class against all others, over every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn import metrics

# Points of a curve that are kept; more cannot be seen, and git keeps the tables.
POINTS = 100


@dataclass(frozen=True)
class Curves:
    """Both curves of a class, empty where none or all of the images show it."""

    name: str
    images: int  # of the class
    roc: np.ndarray  # float (points, 2), false and true positive rates from (0, 0) to (1, 1)
    precision_recall: np.ndarray  # float (points, 2), recalls from 0 on and precisions, 0..1
    auc: float | None  # area under the ROC curve, 0..1; None without a curve
    average_precision: float | None  # area under the other in steps, 0..1; None without a curve


def curves(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[Curves]:
    """The curves of every class, from int (n,) and float (n, classes)."""
    return [
        _curves(name, labels == index, probabilities[:, index])
        for index, name in enumerate(classes)
    ]


def _curves(name: str, positive: np.ndarray, scores: np.ndarray) -> Curves:
    images = int(positive.sum())
    if images in (0, len(positive)):
        return Curves(name, images, np.empty((0, 2)), np.empty((0, 2)), None, None)
    false_rates, true_rates, _ = metrics.roc_curve(positive, scores)
    precisions, recalls, _ = metrics.precision_recall_curve(
        positive, scores, drop_intermediate=True
    )
    return Curves(
        name=name,
        images=images,
        roc=_thinned(np.column_stack([false_rates, true_rates])),
        precision_recall=_thinned(np.column_stack([recalls, precisions])[::-1]),
        auc=float(metrics.roc_auc_score(positive, scores)),
        average_precision=float(metrics.average_precision_score(positive, scores)),
    )


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most POINTS of the points, evenly spaced, the first and the last included."""
    if len(points) <= POINTS:
        return points
    # Integers: the same rows on any processor.
    return points[np.arange(POINTS) * (len(points) - 1) // (POINTS - 1)]


def roc_table(curves: Sequence[Curves], selected_on: str) -> pd.DataFrame:
    """The table roc.csv, class after class."""
    rows = [(curve.name, *point, curve.auc) for curve in curves for point in curve.roc]
    columns = ["class", "false_positive_rate", "true_positive_rate", "auc"]
    return pd.DataFrame(rows, columns=columns).assign(selected_on=selected_on)


def precision_recall_table(curves: Sequence[Curves], selected_on: str) -> pd.DataFrame:
    """The table precision_recall.csv, class after class."""
    rows = [
        (curve.name, *point, curve.average_precision)
        for curve in curves
        for point in curve.precision_recall
    ]
    columns = ["class", "recall", "precision", "average_precision"]
    return pd.DataFrame(rows, columns=columns).assign(selected_on=selected_on)
