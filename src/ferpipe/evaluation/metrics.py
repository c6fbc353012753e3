"""Confusion matrices, int (..., classes, classes) with rows the actual class, and their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferpipe.evaluation import intervals


def confusion_table(counts: np.ndarray, classes: Sequence[str], selected_on: str) -> pd.DataFrame:
    """The table confusion.csv; the share is of the actual class, 0..1."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        {
            "actual": np.repeat(classes, len(classes)),
            "predicted": np.tile(classes, len(classes)),
            "count": counts.ravel(),
            "share": shares.ravel(),
            "selected_on": selected_on,
        }
    )


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Float (...), 0..1."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def precision_recall_f1(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each float (..., classes), 0..1; 0 for a class without predictions or images."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    images, predictions = counts.sum(axis=-1), counts.sum(axis=-2)
    return (
        right / np.maximum(predictions, 1),
        right / np.maximum(images, 1),
        2 * right / np.maximum(images + predictions, 1),
    )


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The mean F1 of the classes that have images: float (...), 0..1."""
    *_, f1 = precision_recall_f1(counts)
    present = counts.sum(axis=-1) > 0
    return f1.sum(axis=-1, where=present) / present.sum(axis=-1)


@dataclass(frozen=True)
class Confusions:
    """Confusion matrices of people; of images where a subject is not known."""

    counts: np.ndarray  # int (people or images, classes, classes), rows the actual class
    over: str  # people or images
    seeds: int = 1  # how often each image is predicted

    @classmethod
    def count(
        cls,
        labels: np.ndarray,
        predicted: np.ndarray,
        classes: int,
        subjects: Sequence[str],
        images: Sequence[object] | None = None,
    ) -> Confusions:
        """Count predictions with the subject and image of each; None: each is of another image."""
        images = range(len(labels)) if images is None else images
        shape = (classes, classes)
        counts, over = intervals.count_by_person(subjects, images, shape, labels, predicted)
        return cls(counts, over, seeds=len(labels) // len(set(images)))

    @property
    def total(self) -> np.ndarray:
        """Int (classes, classes), over all people and seeds."""
        return self.counts.sum(axis=0)

    @property
    def support(self) -> np.ndarray:
        """Int (classes,), images."""
        return self.total.sum(axis=1) // self.seeds

    def accuracy_interval(self, confidence: float) -> intervals.Interval:
        """The interval over people, each with all its images and seeds, or over images."""
        hits = np.trace(self.counts, axis1=1, axis2=2)[:, np.newaxis]
        images = self.counts.sum(axis=(1, 2))[:, np.newaxis]
        return intervals.of_shares(hits, images, self.over, confidence, self.seeds)[0]

    def macro_f1_bounds(self, confidence: float) -> dict[str, float | None]:
        """`macro_f1_low` and `macro_f1_high` over people; None where they are not known."""
        if self.over == "images":
            return {"macro_f1_low": None, "macro_f1_high": None}
        interval = intervals.bootstrap(self.counts, macro_f1, confidence)
        return {"macro_f1_low": interval.low, "macro_f1_high": interval.high}

    def per_class(
        self, classes: Sequence[str], selected_on: str, confidence: float
    ) -> pd.DataFrame:
        """The table per_class.csv: precision, recall with its interval, and F1, each 0..1."""
        precision, recall, f1 = precision_recall_f1(self.total)
        hits, images = np.diagonal(self.counts, axis1=1, axis2=2), self.counts.sum(axis=2)
        recalls = intervals.of_shares(hits, images, self.over, confidence, self.seeds)
        return pd.DataFrame(
            {
                "class": classes,
                "precision": precision,
                "recall": recall,
                **intervals.table(recalls, "recall"),
                "f1": f1,
                "support": self.support,
                "selected_on": selected_on,
            }
        )
