"""Scores of predictions that cover every image once for each seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.data import folds
from ferpipe.evaluation import intervals, metrics, significance


@dataclass(frozen=True)
class Scores:
    """The scores of one classifier on test.

    Args:
        by_seed: accuracy of each seed over all its folds, 0..1.
        fold_sd: standard deviation of the accuracies of a seed's folds, mean over the seeds.
        counts: int (people or images, classes, classes), the confusion matrix of each person, of
            each image where a subject is not known; summed over folds and seeds.
        over: people or images.
    """

    by_seed: dict[int, float]
    fold_sd: float
    counts: np.ndarray
    over: str

    @property
    def accuracy(self) -> float:
        """The mean over the seeds, 0..1."""
        return fmean(self.by_seed.values())

    @property
    def confusion(self) -> np.ndarray:
        """Int (classes, classes), summed over folds and seeds; rows the actual class."""
        return self.counts.sum(axis=0)

    @property
    def support(self) -> np.ndarray:
        """Int (classes,), the images of each class."""
        return self.confusion.sum(axis=1) // len(self.by_seed)

    def recall_intervals(self, confidence: float) -> list[intervals.Interval]:
        """The interval of the recall of each class, however many seeds there are."""
        hits, images = np.diagonal(self.counts, axis1=1, axis2=2), self.counts.sum(axis=2)
        if self.over == "people":
            return intervals.bootstrap_shares(np.stack([images - hits, hits], axis=-1), confidence)
        hits = hits.sum(axis=0) / len(self.by_seed)
        return [
            intervals.over_images(*share, confidence)
            for share in zip(hits.tolist(), self.support.tolist(), strict=True)
        ]


def score(
    predictions: pd.DataFrame,
    paths: Sequence[str],
    classes: Sequence[str],
    subjects: Sequence[str] = (),
) -> Scores:
    """Score the predictions on test of every fold of every seed.

    Args:
        predictions: with the columns seed, fold, path, actual and predicted.
        paths: every image; each seed has to predict each of them once.
        classes: class names.
        subjects: of each image; none, or an empty one, where it is not known.

    Raises:
        PipelineError: an image is missing or is predicted twice.
    """
    expected = Counter(paths)
    for seed, predicted_paths in predictions.groupby("seed")["path"]:
        predicted = Counter(predicted_paths)
        if predicted != expected:
            path = min((predicted - expected) + (expected - predicted))
            raise PipelineError(
                f"the folds of seed {seed} do not predict each image once, such as {path}; "
                "run `dvc repro --force cv/dvc.yaml`"
            )
    right = predictions["actual"] == predictions["predicted"]
    by_fold = right.groupby([predictions["seed"], predictions["fold"]]).mean()
    groups, over = predictions["path"], "images"
    if intervals.known(subjects):
        groups, over = groups.map(dict(zip(paths, subjects, strict=True))), "people"
    class_index = {name: index for index, name in enumerate(classes)}
    labels, guesses = (predictions[name].map(class_index) for name in ("actual", "predicted"))
    return Scores(
        by_seed=right.groupby(predictions["seed"]).mean().to_dict(),
        fold_sd=by_fold.groupby("seed").agg(stdev).mean(),
        counts=metrics.counts_by(groups, (len(classes), len(classes)), labels, guesses),
        over=over,
    )


def compare(network: Scores, baseline: Scores) -> significance.PairedTest:
    """Test whether network and baseline differ, over people or images with all their seeds."""
    balances = np.trace(network.counts - baseline.counts, axis1=1, axis2=2)
    return significance.paired_test(balances.tolist(), over=network.over)


def summarise(
    network: Scores,
    baseline: Scores,
    val_accuracy: float | None,
    confidence: float,
    *,
    selected_on_test: bool,
) -> dict[str, object]:
    """The headline metrics by name.

    The intervals are bootstraps over people, each with all its images and seeds: another seed tests
    the same people again, which makes a firmer mean but no larger sample of them. Where a subject
    is not known the interval is Wilson's around the mean accuracy with n = images; then `people`
    and the interval of macro-F1 are None.

    Args:
        network: the scores of the network.
        baseline: the scores of the baseline.
        val_accuracy: of the network on all val images, 0..1; None where there is no val, or where
            the network has learned from it.
        confidence: level of the intervals, such as 0.95.
        selected_on_test: whether there is no val.
    """
    images = int(network.support.sum())
    f1_low = f1_high = None
    if network.over == "people":
        interval = intervals.bootstrap(network.counts, metrics.accuracy, confidence)
        f1_interval = intervals.bootstrap(network.counts, metrics.macro_f1, confidence)
        f1_low, f1_high = f1_interval.low, f1_interval.high
    else:
        interval = intervals.over_images(network.accuracy * images, images, confidence)
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
        "macro_f1": float(metrics.macro_f1(network.confusion)),
        "macro_f1_low": f1_low,
        "macro_f1_high": f1_high,
        "val_accuracy": val_accuracy,
        "baseline_accuracy": baseline.accuracy,
        "baseline_fold_sd": baseline.fold_sd,
        "baseline_macro_f1": float(metrics.macro_f1(baseline.confusion)),
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
    classes: Sequence[str],
    selected_on: str,
    confidence: float,
) -> pd.DataFrame:
    """The table per_class.csv of the cross-validation, with the recalls of the baseline."""
    precision, recall, f1 = metrics.precision_recall_f1(network.confusion)
    _, baseline_recall, _ = metrics.precision_recall_f1(baseline.confusion)
    of_baseline = intervals.columns(baseline.recall_intervals(confidence), "recall")
    return pd.DataFrame(
        {
            "class": classes,
            "precision": precision,
            "recall": recall,
            **intervals.columns(network.recall_intervals(confidence), "recall"),
            "f1": f1,
            "support": network.support,
            "selected_on": selected_on,
            "baseline_recall": baseline_recall,
            "baseline_recall_low": of_baseline["recall_low"],
            "baseline_recall_high": of_baseline["recall_high"],
            "baseline_interval": of_baseline["interval"],
        }
    )
