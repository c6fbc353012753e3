"""The model's metrics on test: the headline, and each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)

from ferpipe.evaluation import intervals, metrics
from ferpipe.model import losses

# What `dvc metrics show` prints of them, so that all metric files together fit a terminal of 160
# columns; the rest is in evaluation.json.
METRICS = (
    *("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss"),
    "baseline_accuracy",
)
PER_CLASS_HEADER = (
    "class",
    "precision",
    "recall",
    "recall_low",
    "recall_high",
    "interval",
    "people",
    "f1",
    "support",
    "selected_on",
)


@dataclass(frozen=True)
class Result:
    """What the model did on test.

    Args:
        classes: class names, in the schema's order.
        paths: archive path of each image (n).
        labels: int (n,), the true class of each image.
        probabilities: float64 (n, classes), rows summing to 1.
        selected_on_test: whether test also chose the epoch.
        subjects: who each image shows (n); nobody, or empty, where that is not known.
    """

    classes: list[str]
    paths: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    selected_on_test: bool
    subjects: Sequence[str] = ()

    @property
    def selected_on(self) -> str:
        """The split that chose the epoch, as the tables and plots say it."""
        return "test" if self.selected_on_test else "val"

    @property
    def predicted(self) -> np.ndarray:
        """Int (n,), the most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Int (classes, classes), rows the actual class, columns the predicted one."""
        return metrics.confusion(self.labels, self.predicted, len(self.classes))


def headline_metrics(result: Result, confidence: float) -> dict[str, object]:
    """The headline metrics, flat for `dvc metrics show`.

    Args:
        result: what the model did.
        confidence: level of the intervals around accuracy and macro-F1; the latter has none
            where subjects are not known.

    Returns:
        Metrics by name; `people` is how many the intervals rest on, None where a subject is not
        known.
    """
    predicted = result.predicted
    hits = int((predicted == result.labels).sum())
    interval, f1_interval = intervals.intervals(
        result.labels, predicted, result.subjects, len(result.classes), confidence
    )
    present = np.unique(result.labels)
    return {
        "accuracy": hits / len(result.labels),
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "interval": interval.method,
        "people": interval.people,
        "balanced_accuracy": float(balanced_accuracy_score(result.labels, predicted)),
        "macro_f1": float(
            f1_score(result.labels, predicted, labels=present, average="macro", zero_division=0)
        ),
        "macro_f1_low": f1_interval.low if f1_interval else None,
        "macro_f1_high": f1_interval.high if f1_interval else None,
        "log_loss": losses.log_loss(result.labels, result.probabilities),
        "images": len(result.labels),
        "selected_on_test": result.selected_on_test,
    }


def per_class(result: Result, confidence: float) -> list[tuple[object, ...]]:
    """Rows of per_class.csv; precision, recall and its bounds, and F1 are shares, 0..1."""
    right = result.predicted == result.labels
    recall_intervals = intervals.of_shares(
        right, result.labels, len(result.classes), result.subjects, confidence
    )
    scores = precision_recall_fscore_support(
        result.labels, result.predicted, labels=range(len(result.classes)), zero_division=0
    )
    rows = []
    for name, interval, precision, recall, f1, support in zip(
        result.classes, recall_intervals, *scores, strict=True
    ):
        rows.append(
            (
                *(name, float(precision), float(recall), interval.low, interval.high),
                *(interval.method, interval.people, float(f1), int(support), result.selected_on),
            )
        )
    return rows


def headline(test_metrics: Mapping[str, object], confidence: float) -> str:
    """Accuracy with its interval and protocol, in a line."""
    flag = ", optimistic: selected on test" if test_metrics["selected_on_test"] else ""
    basis = intervals.basis(test_metrics["interval"], test_metrics["people"])
    return (
        f"{test_metrics['accuracy']:.1%} of {test_metrics['images']} test images right "
        f"({confidence:.0%} interval {test_metrics['accuracy_low']:.1%} to "
        f"{test_metrics['accuracy_high']:.1%}, {basis}){flag}"
    )
