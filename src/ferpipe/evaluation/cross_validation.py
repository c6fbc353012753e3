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
from ferpipe.evaluation import intervals, metrics, significance

# Rows of a predictions table, with `path`, `actual` and `predicted`, of each (seed, fold).
Folds = Mapping[tuple[int, int], Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Scores:
    """The scores of one classifier on test.

    Args:
        by_seed: accuracy of each seed over all its folds, 0..1.
        fold_sd: standard deviation of the accuracies of a seed's folds, mean over the seeds.
        confusion: int (classes, classes), summed over folds and seeds; rows the actual class.
        by_image: int (images,), how many seeds are right on each image.
        by_subject: int (subjects, classes, classes), as `confusion` for each subject; None where a
            subject is not known.
    """

    by_seed: dict[int, float]
    fold_sd: float
    confusion: np.ndarray
    by_image: np.ndarray
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
    class_index = {name: index for index, name in enumerate(classes)}
    subject_of = dict(zip(paths, subjects, strict=True)) if subjects else {}
    labels: list[int] = []
    guesses: list[int] = []
    subject_of_rows: list[str] = []
    right: Counter[str] = Counter()
    for (seed, _), rows in predictions.items():
        predicted[seed].update(row["path"] for row in rows)
        hits[seed].append([row["actual"] == row["predicted"] for row in rows])
        right.update(row["path"] for row in rows if row["actual"] == row["predicted"])
        labels += [class_index[row["actual"]] for row in rows]
        guesses += [class_index[row["predicted"]] for row in rows]
        subject_of_rows += [subject_of.get(row["path"], "") for row in rows]
    expected = Counter(paths)
    for seed, counts in predicted.items():
        if counts != expected:
            path = min((counts - expected) + (expected - counts))
            raise PipelineError(
                f"the folds of seed {seed} do not predict each image once, such as {path}; "
                "run `dvc repro --force cv/dvc.yaml`"
            )
    of_rows = (np.array(labels), np.array(guesses))
    by_subject = None
    if intervals.known(subject_of_rows):
        by_subject = metrics.by_subject(*of_rows, subject_of_rows, len(classes))
    return Scores(
        by_seed={seed: fmean(itertools.chain(*of_seed)) for seed, of_seed in hits.items()},
        fold_sd=fmean(stdev(map(fmean, of_seed)) for of_seed in hits.values()),
        confusion=metrics.confusion(*of_rows, len(classes)),
        by_image=np.array([right[path] for path in paths]),
        by_subject=by_subject,
    )


PER_CLASS_HEADER = (
    *("class", "precision", "recall", "recall_low", "recall_high", "interval", "people", "f1"),
    *("support", "selected_on", "baseline_recall", "baseline_recall_low", "baseline_recall_high"),
    "baseline_interval",
)


def compare(network: Scores, baseline: Scores) -> significance.PairedTest:
    """Test whether network and baseline differ, all seeds of a person together.

    Returns:
        The sign-flip test over people; where a subject is not known, over images.
    """
    if network.by_subject is None or baseline.by_subject is None:
        return significance.paired_test(
            (network.by_image - baseline.by_image).tolist(), over="images"
        )
    right, baseline_right = (
        np.trace(scores.by_subject, axis1=1, axis2=2) for scores in (network, baseline)
    )
    return significance.paired_test((right - baseline_right).tolist(), over="people")


def summarise(
    network: Scores,
    baseline: Scores,
    val_accuracy: float | None,
    images: int,
    confidence: float,
    *,
    selected_on_test: bool,
) -> dict[str, object]:
    """The headline metrics, flat for `dvc metrics show`.

    The intervals are bootstraps over subjects, each with all its images and seeds: another seed
    tests the same people again, which makes a firmer mean but no larger sample of them. Where the
    names tell no subjects it is Wilson's around the mean accuracy with n = images.

    Args:
        network: the scores of the network.
        baseline: the scores of the baseline.
        val_accuracy: of the network on all val images, 0..1; None where there is no val, or where
            the network has learned from it.
        images: how many there are.
        confidence: level of the intervals, such as 0.95.
        selected_on_test: whether there is no val.

    Returns:
        Metrics by name. `people` is how many the intervals rest on, None where a subject is not
        known; `baseline_p_value` is that of `compare`.
    """
    if network.by_subject is None:
        interval = intervals.over_images(network.accuracy * images, images, confidence)
        f1_interval = None
    else:
        interval = intervals.bootstrap(network.by_subject, metrics.accuracy, confidence)
        f1_interval = intervals.bootstrap(network.by_subject, metrics.macro_f1, confidence)
    test = compare(network, baseline)
    return {
        "accuracy": network.accuracy,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "interval": interval.method,
        "people": interval.people,
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
        "baseline_p_value": test.p_value,
        "baseline_test": test.method,
        "images": images,
        "folds": folds.FOLDS,
        "seeds": len(network.by_seed),
        "selected_on_test": selected_on_test,
    }


def per_class(
    network: Scores,
    baseline: Scores,
    support: Sequence[int],
    classes: Sequence[str],
    selected_on: str,
    confidence: float,
) -> list[dict[str, object]]:
    """Rows of per_class.csv, with the columns PER_CLASS_HEADER.

    The intervals of the recalls are over people, each with all its images and seeds; where a
    subject is not known, Wilson's with n = the images of the class.

    Args:
        network: the scores of the network.
        baseline: the scores of the baseline.
        support: how many images each class has.
        classes: class names.
        selected_on: the split that chose the epoch, val or test.
        confidence: level of the intervals, such as 0.95.
    """
    network_intervals, baseline_intervals = (
        _recall_intervals(scores, support, confidence) for scores in (network, baseline)
    )
    return [
        {
            "class": name,
            "precision": float(network.precision[i]),
            "recall": float(network.recall[i]),
            "recall_low": network_intervals[i].low,
            "recall_high": network_intervals[i].high,
            "interval": network_intervals[i].method,
            "people": network_intervals[i].people,
            "f1": float(network.f1[i]),
            "support": support[i],
            "selected_on": selected_on,
            "baseline_recall": float(baseline.recall[i]),
            "baseline_recall_low": baseline_intervals[i].low,
            "baseline_recall_high": baseline_intervals[i].high,
            "baseline_interval": baseline_intervals[i].method,
        }
        for i, name in enumerate(classes)
    ]


def _recall_intervals(
    scores: Scores, support: Sequence[int], confidence: float
) -> list[intervals.Interval]:
    if scores.by_subject is None:
        return [
            intervals.over_images(recall * images, images, confidence)
            for recall, images in zip(scores.recall.tolist(), support, strict=True)
        ]
    hits = np.diagonal(scores.by_subject, axis1=1, axis2=2)
    return intervals.bootstrap_shares(hits, scores.by_subject.sum(axis=2), confidence)
