"""The confusion matrix of each person, from which metrics, intervals and paired tests follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.intervals import Interval


@dataclass(frozen=True)
class Confusions:
    """Confusion matrices of people; of images where a subject is not known."""

    counts: np.ndarray  # int (people or images, classes, classes), rows the actual class
    over: str  # people or images
    seeds: int = 1  # how often each image is predicted

    @property
    def total(self) -> np.ndarray:
        """Int (classes, classes), over all people and seeds."""
        return self.counts.sum(axis=0)

    @property
    def support(self) -> np.ndarray:
        """Int (classes,), the images of each class."""
        return self.total.sum(axis=1) // self.seeds

    def accuracy_interval(self, confidence: float) -> Interval:
        """Over people, each with all its images and seeds, or Wilson's over images."""
        hits = np.trace(self.counts, axis1=1, axis2=2)[:, np.newaxis]
        images = self.counts.sum(axis=(1, 2))[:, np.newaxis]
        return intervals.of_shares(hits, images, self.over, confidence, self.seeds)[0]

    def macro_f1_bounds(self, confidence: float) -> tuple[float, float] | tuple[None, None]:
        """Over people; None where they are not known."""
        if self.over != "people":
            return None, None
        interval = intervals.bootstrap(self.counts, metrics.macro_f1, confidence)
        return interval.low, interval.high

    def recall_intervals(self, confidence: float) -> list[Interval]:
        """The interval of the recall of each class, as `accuracy_interval`."""
        hits = np.diagonal(self.counts, axis1=1, axis2=2)
        images = self.counts.sum(axis=2)
        return intervals.of_shares(hits, images, self.over, confidence, self.seeds)

    def per_class(
        self, classes: Sequence[str], selected_on: str, confidence: float
    ) -> pd.DataFrame:
        """The table per_class.csv: precision, recall with its interval, and F1, each 0..1."""
        precision, recall, f1 = metrics.precision_recall_f1(self.total)
        return pd.DataFrame(
            {
                "class": classes,
                "precision": precision,
                "recall": recall,
                **intervals.columns(self.recall_intervals(confidence), "recall"),
                "f1": f1,
                "support": self.support,
                "selected_on": selected_on,
            }
        )


def count(
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    subjects: Sequence[str],
    images: Sequence[object] | None = None,
    seeds: int = 1,
) -> Confusions:
    """Count the confusion matrices of labels and predicted classes, int (n,) each.

    `subjects` and `images` as in `intervals.count_by_subject`; each image is predicted `seeds`
    times.
    """
    counts, over = intervals.count_by_subject(
        subjects, (classes, classes), labels, predicted, images=images
    )
    return Confusions(counts, over, seeds)
