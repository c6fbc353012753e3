"""The model's metrics on test: the headline, and each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from ferpipe.evaluation import metrics
from ferpipe.model import losses

# What `dvc metrics show` prints, so that all metric files together fit a terminal of 160 columns;
# the rest is in evaluation.json.
METRICS = "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss", "baseline_accuracy"


@dataclass(frozen=True)
class Result:
    """The model's predictions on test."""

    classes: list[str]  # in the schema's order
    paths: list[str]  # archive path of each image (n)
    labels: np.ndarray  # int (n,), the true class of each image
    probabilities: np.ndarray  # float64 (n, classes), rows summing to 1
    selected_on_test: bool  # whether test also selected the epoch
    subjects: Sequence[str] = ()  # see `intervals`

    @property
    def selected_on(self) -> str:
        """The split that selected the epoch: val or test."""
        return "test" if self.selected_on_test else "val"

    @property
    def predicted(self) -> np.ndarray:
        """Int (n,), the most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    def count(self, predicted: np.ndarray) -> metrics.Confusions:
        """The confusion matrix of each person, from predicted class indices (n)."""
        return metrics.Confusions.count(self.labels, predicted, len(self.classes), self.subjects)

    @property
    def confusions(self) -> metrics.Confusions:
        """The confusion matrix of each person by this model."""
        return self.count(self.predicted)

    @property
    def confusion(self) -> np.ndarray:
        """Int (classes, classes), rows the actual class, columns the predicted one."""
        return self.confusions.total


def headline_metrics(result: Result, confidence: float) -> dict[str, object]:
    """The headline metrics by name; `people` is None where a subject is not known."""
    labels, predicted, confusions = result.labels, result.predicted, result.confusions
    return {
        "accuracy": float(metrics.accuracy(confusions.total)),
        **confusions.accuracy_interval(confidence).columns("accuracy"),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "macro_f1": float(metrics.macro_f1(confusions.total)),
        **confusions.macro_f1_bounds(confidence),
        "mcc": float(matthews_corrcoef(labels, predicted)),
        "log_loss": losses.log_loss(labels, result.probabilities),
        "images": len(labels),
        "selected_on_test": result.selected_on_test,
    }


def per_class(result: Result, confidence: float) -> pd.DataFrame:
    """The table per_class.csv."""
    return result.confusions.per_class(result.classes, result.selected_on, confidence)
