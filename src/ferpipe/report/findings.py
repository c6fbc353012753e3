"""What the report and the model card show of a model: its result on test and its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferpipe.data.shards import Images
from ferpipe.evaluation import intervals
from ferpipe.evaluation.calibration import Calibration
from ferpipe.evaluation.curves import Curves
from ferpipe.evaluation.result import Result
from ferpipe.evaluation.robustness import UNCORRUPTED
from ferpipe.report.provenance import Provenance


@dataclass(frozen=True)
class Findings:
    """Everything that is shown; tables and JSON objects as in the files of the same names."""

    result: Result  # predictions on test
    images: Images  # uint8 (n, side, side, 1 or 3), the test images
    confidence: float  # level of all intervals
    metrics: Mapping[str, object]  # of evaluation.json, before rounding
    per_class: pd.DataFrame
    baselines: pd.DataFrame  # the network first
    calibration: Sequence[Calibration]  # without temperature and with it; one if there is none
    curves: Sequence[Curves]
    robustness: pd.DataFrame  # the images as they are first, and alone if it was not measured
    audit: Mapping[str, object]  # of split_audit.json
    training: Mapping[str, object]  # of training.json
    history: pd.DataFrame
    closest_pairs: pd.DataFrame
    provenance: Provenance

    @property
    def headline(self) -> str:
        """Accuracy with its interval and protocol, in one line."""
        flag = ", optimistic: selected on test" if self.result.selected_on_test else ""
        return (
            f"{self.metrics['accuracy']:.1%} of {self.metrics['images']} test images correct "
            f"({self.confidence:.0%} interval {self.interval}){flag}"
        )

    @property
    def interval(self) -> str:
        """The interval of the accuracy, its method, and a caution if it is of few people."""
        bounds = f"{self.metrics['accuracy_low']:.1%} to {self.metrics['accuracy_high']:.1%}"
        people = self.metrics["people"]
        basis = intervals.basis(self.metrics["interval"], people) + intervals.caution(people)
        return f"{bounds}, {basis}"

    @property
    def solved_only(self) -> bool:
        """Whether a solved head on an untrained or frozen backbone is all of the training."""
        train = self.provenance.params["train"]
        return train["head"] == "solved" and not int(train["epochs"])

    @property
    def worst_class(self) -> pd.Series:
        """The row of the class with the lowest recall; the first of several."""
        shown = self.per_class[self.per_class["support"] > 0]
        return shown.loc[shown["recall"].idxmin()]

    @property
    def corrupted(self) -> pd.DataFrame:
        """The rows of corrupted images; empty if robustness was not measured."""
        return self.robustness[self.robustness["corruption"] != UNCORRUPTED]

    @property
    def confusions(self) -> pd.DataFrame:
        """Pairs of confused classes, the most frequent first: actual, predicted, count, images."""
        classes, counts = self.result.classes, self.result.confusion
        rows = [
            (classes[i], classes[j], int(counts[i, j]), int(counts[i].sum()))
            for i, j in np.argwhere(counts)
            if i != j
        ]
        table = pd.DataFrame(rows, columns=["actual", "predicted", "count", "images"])
        return table.sort_values("count", ascending=False, kind="stable", ignore_index=True)

    @property
    def mistakes(self) -> np.ndarray:
        """Indices of the misclassified images, the most confident first."""
        return self._by_confidence(self.result.predicted != self.result.labels)

    @property
    def hits(self) -> np.ndarray:
        """Index of the most confident correct image of each class, in the order of the classes."""
        right = self._by_confidence(self.result.predicted == self.result.labels)
        labels, first = np.unique(self.result.labels[right], return_index=True)
        return right[first[np.argsort(labels)]]

    def _by_confidence(self, which: np.ndarray) -> np.ndarray:
        images = np.flatnonzero(which)
        confidence = self.result.probabilities.max(axis=1)[images]
        return images[np.argsort(-confidence, kind="stable")]
