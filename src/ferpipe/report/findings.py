"""What the report and the model card show of a model once it is evaluated on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.evaluation import baselines, intervals
from ferpipe.evaluation.calibration import Calibration
from ferpipe.evaluation.curves import Curves
from ferpipe.report.provenance import Provenance

# How many faces the report shows.
MISTAKES = 12
HITS = 14


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another."""

    actual: str
    predicted: str
    images: int
    of: int


@dataclass(frozen=True)
class Findings:
    """What the model did on test, and what it is.

    Args:
        classes: class names, in the schema's order.
        paths: archive path of each test image (n).
        images: uint8 (n, side, side, 1 or 3), the test images.
        labels: int (n,), the true class of each.
        probabilities: float (n, classes), rows summing to 1.
        confidence: level of all intervals, such as 0.95.
        headline: accuracy with its interval and protocol, in a line.
        metrics: as in reports/evaluation.json, before rounding.
        per_class: a row a class, with the columns of reports/per_class.csv.
        confusion: int (classes, classes), rows the actual class.
        split: as in data/split_audit.json.
        training: as in models/training.json.
        history: as in reports/history.csv.
        calibration: without temperature, then with it; or the first alone.
        curves: ROC and precision-recall of each class.
        provenance: what it was made of.
        classifiers: the network and its baselines on the same images, a row each with the columns
            of reports/baselines.csv, the network first.
        closest_pairs: held-out images and those most like them in training, with `path`,
            `closest_path`, `similarity` and `shared`, the closest first.
    """

    classes: Sequence[str]
    paths: Sequence[str]
    images: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    confidence: float
    headline: str
    metrics: Mapping[str, object]
    per_class: Sequence[Mapping[str, object]]
    confusion: np.ndarray
    split: Mapping[str, object]
    training: Mapping[str, object]
    history: Sequence[Mapping[str, str]]
    calibration: Sequence[Calibration]
    curves: Sequence[Curves]
    provenance: Provenance
    classifiers: Sequence[Mapping[str, object]]
    closest_pairs: Sequence[Mapping[str, str]]

    @property
    def interval(self) -> str:
        """The interval of the accuracy, its method and its number of people."""
        bounds = f"{self.metrics['accuracy_low']:.1%} to {self.metrics['accuracy_high']:.1%}"
        return f"{bounds}, {intervals.basis(self.metrics['interval'], self.metrics['people'])}"

    @property
    def majority_accuracy(self) -> float:
        """Accuracy of always naming the majority class of train and val, 0..1."""
        return float(self.metrics["majority_accuracy"])

    @property
    def comparisons(self) -> list[str]:
        """The paired test of the network against each baseline, in words."""
        return [baselines.comparison(row) for row in self.classifiers[1:]]

    @property
    def selected_on_test(self) -> bool:
        """Whether test also chose, so that every metric is optimistic."""
        return bool(self.metrics["selected_on_test"])

    @property
    def recall_bases(self) -> list[tuple[str, int | None]]:
        """Method and number of people of the interval of each recall, of classes with images."""
        return [
            (str(row["interval"]), row["people"]) for row in self.per_class if int(row["support"])
        ]

    @property
    def predicted(self) -> np.ndarray:
        """Int (n,), the most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @property
    def mistakes(self) -> np.ndarray:
        """Numbers of the images that were taken for another class, the surest mistake first."""
        return self._surest(np.flatnonzero(self.predicted != self.labels))

    @property
    def hits(self) -> np.ndarray:
        """Numbers of the surest hit of each class, in the order of the classes."""
        right = np.flatnonzero(self.predicted == self.labels)
        surest = self._surest(right)
        of_classes = (
            surest[self.labels[surest] == label][:1] for label in range(len(self.classes))
        )
        return np.concatenate(list(of_classes))

    def _surest(self, images: np.ndarray) -> np.ndarray:
        """The images by falling confidence; equals keep their order."""
        sure = self.probabilities.max(axis=1)[images]
        return images[np.argsort(-sure, kind="stable")]

    @property
    def worst_class(self) -> Mapping[str, object]:
        """The row of the class with the lowest recall; the first of several."""
        rows = [row for row in self.per_class if int(row["support"])]
        return min(rows, key=lambda row: float(row["recall"]))

    @property
    def confusions(self) -> list[Confusion]:
        """The pairs of classes that were mixed up, the most frequent first."""
        found = [
            Confusion(
                self.classes[actual],
                self.classes[predicted],
                int(self.confusion[actual, predicted]),
                int(self.confusion[actual].sum()),
            )
            for actual, predicted in np.argwhere(self.confusion)
            if actual != predicted
        ]
        return sorted(found, key=lambda each: -each.images)
