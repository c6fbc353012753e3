"""Scores of predictions that cover every image once for each seed."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from ferpipe.core.errors import PipelineError
from ferpipe.data import folds
from ferpipe.evaluation import intervals, metrics

# Rows of a predictions table, with `path`, `actual` and `predicted`, of each (seed, fold).
Folds = Mapping[tuple[int, int], Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Scores:
    """What one classifier did on test.

    Args:
        by_seed: accuracy of each seed over all its folds, 0..1.
        fold_sd: standard deviation of the accuracies of a seed's folds, mean over the seeds.
        confusion: int (classes, classes), summed over folds and seeds; rows the actual class.
        by_subject: int (subjects, classes, classes), the same for each subject; None where a
            subject is not known.
    """

    by_seed: dict[int, float]
    fold_sd: float
    confusion: np.ndarray
    by_subject: np.ndarray | None = None

    @property
    def accuracy(self) -> float:
        """The mean over the seeds, 0..1."""
        return fmean(self.by_seed.values())

    @property
    def precision(self) -> np.ndarray:
        """Float (classes,), 0..1; 0 for a class that is never predicted."""
        return self.confusion.diagonal() / np.maximum(self.confusion.sum(axis=0), 1)

    @property
    def recall(self) -> np.ndarray:
        """Float (classes,), 0..1."""
        return self.confusion.diagonal() / np.maximum(self.confusion.sum(axis=1), 1)

    @property
    def f1(self) -> np.ndarray:
        """Float (classes,), 0..1."""
        totals = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        return 2 * self.confusion.diagonal() / np.maximum(totals, 1)


def score(
    predictions: Folds,
    paths: Sequence[str],
    classes: Sequence[str],
    subjects: Sequence[str] = (),
) -> Scores:
    """Score the predictions on test of every fold of every seed.

    Args:
        predictions: the test rows.
        paths: every image; each seed has to predict each of them once.
        classes: class names.
        subjects: who each image shows; nobody, or an empty one, where that is not known.

    Raises:
        PipelineError: an image is missing or is predicted twice.
    """
    predicted: dict[int, Counter[str]] = defaultdict(Counter)
    hits: dict[int, list[list[bool]]] = defaultdict(list)
    number = {name: index for index, name in enumerate(classes)}
    subject_of = dict(zip(paths, subjects, strict=True)) if subjects else {}
    judged: list[tuple[int, int, str]] = []
    for (seed, _), rows in predictions.items():
        predicted[seed].update(row["path"] for row in rows)
        hits[seed].append([row["actual"] == row["predicted"] for row in rows])
        judged += [
            (number[row["actual"]], number[row["predicted"]], subject_of.get(row["path"], ""))
            for row in rows
        ]
    for seed, found in predicted.items():
        if found != Counter(paths):
            path = min((found - Counter(paths)) + (Counter(paths) - found))
            raise PipelineError(
                f"the folds of seed {seed} do not predict each image once, such as {path}; "
                "run `dvc repro --force cv/dvc.yaml`"
            )
    labels, guesses = np.array([row[:2] for row in judged]).T
    who = [row[2] for row in judged]
    return Scores(
        by_seed={seed: fmean(itertools.chain(*of_seed)) for seed, of_seed in hits.items()},
        fold_sd=fmean(stdev(map(fmean, of_seed)) for of_seed in hits.values()),
        confusion=metrics.confusion(labels, guesses, len(classes)),
        by_subject=metrics.by_subject(labels, guesses, who, len(classes)) if all(who) else None,
    )


BASELINE_COLUMNS = ("baseline_recall", "baseline_recall_low", "baseline_recall_high")


PER_CLASS_HEADER = (
    *("class", "precision", "recall", "recall_low", "recall_high", "f1", "support", "chosen_on"),
    *BASELINE_COLUMNS,
)


def summarise(
    network: Scores,
    baseline: Scores,
    val_accuracy: float | None,
    images: int,
    confidence: float,
    *,
    chosen_on_test: bool,
) -> dict[str, object]:
    """The headline numbers, flat for `dvc metrics show`.

    The intervals are bootstraps over subjects, each with all its images and seeds: another seed
    tests the same people again, which makes a firmer mean but no larger sample of them. Where the
    names tell no subjects it is Wilson's around the mean accuracy with n = images.

    Args:
        network: what the network did.
        baseline: what the baseline did.
        val_accuracy: of the network on all val images, 0..1; None where there is no val, or where
            it has taught too.
        images: how many there are.
        confidence: level of the intervals, such as 0.95.
        chosen_on_test: whether there is no val.
    """
    if network.by_subject is None:
        bounds = intervals.wilson(network.accuracy * images, images, confidence)
        interval, f1_interval = intervals.Interval(*bounds, "Wilson over images"), None
    else:
        interval = intervals.bootstrap(network.by_subject, metrics.accuracy, confidence)
        f1_interval = intervals.bootstrap(network.by_subject, metrics.macro_f1, confidence)
    return {
        "accuracy": network.accuracy,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "interval": interval.method,
        "accuracy_worst_seed": min(network.by_seed.values()),
        "accuracy_best_seed": max(network.by_seed.values()),
        "fold_sd": network.fold_sd,
        "macro_f1": float(network.f1.mean()),
        "macro_f1_low": f1_interval.low if f1_interval else None,
        "macro_f1_high": f1_interval.high if f1_interval else None,
        "val_accuracy": val_accuracy,
        "baseline_accuracy": baseline.accuracy,
        "baseline_fold_sd": baseline.fold_sd,
        "baseline_macro_f1": float(baseline.f1.mean()),
        "images": images,
        "folds": folds.FOLDS,
        "seeds": len(network.by_seed),
        "chosen_on_test": chosen_on_test,
    }


def per_class(
    network: Scores,
    baseline: Scores,
    support: Sequence[int],
    classes: Sequence[str],
    chosen_on: str,
    confidence: float,
) -> list[tuple[object, ...]]:
    """Rows of per_class.csv; intervals are Wilson's with n = the images of the class."""
    rows = []
    for i, (name, count) in enumerate(zip(classes, support, strict=True)):
        recall, bar = float(network.recall[i]), float(baseline.recall[i])
        scores = (
            *(float(network.precision[i]), recall),
            *intervals.wilson(recall * count, count, confidence),
            float(network.f1[i]),
        )
        bounds = intervals.wilson(bar * count, count, confidence)
        rows.append((name, *scores, count, chosen_on, bar, *bounds))
    return rows
