"""Scores of predictions that cover every image of the folds once for each seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation import metrics, significance


@dataclass(frozen=True)
class Scores:
    """The scores of one classifier on test."""

    by_seed: dict[int, float]  # accuracy over all folds, 0..1
    fold_sd: float  # standard deviation of the accuracies of a seed's folds, mean over the seeds
    confusions: metrics.Confusions  # over all folds and seeds
    folds: int  # of each seed

    @property
    def accuracy(self) -> float:
        """The mean over the seeds, 0..1."""
        return fmean(self.by_seed.values())

    @property
    def macro_f1(self) -> float:
        """Of all seeds together, 0..1."""
        return float(metrics.macro_f1(self.confusions.total))


def score(
    predictions: pd.DataFrame, paths: Sequence[str], classes: Sequence[str], subjects: Sequence[str]
) -> Scores:
    """Score predictions on test: a table of seed, fold, path, actual and predicted.

    `paths` and `subjects` are those of every image that is in a fold.

    Raises:
        PipelineError: a seed does not predict each image once.
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
    rows = predictions.assign(right=predictions["actual"] == predictions["predicted"])
    subject_of = dict(zip(paths, subjects, strict=True))
    class_index = {name: index for index, name in enumerate(classes)}
    confusions = metrics.Confusions.count(
        predictions["actual"].map(class_index),
        predictions["predicted"].map(class_index),
        len(classes),
        subjects=predictions["path"].map(subject_of),
        images=predictions["path"],
    )
    by_fold = rows.groupby(["seed", "fold"])["right"].mean()
    return Scores(
        by_seed=rows.groupby("seed")["right"].mean().to_dict(),
        fold_sd=by_fold.groupby("seed").agg(stdev).mean(),
        confusions=confusions,
        folds=predictions["fold"].nunique(),
    )


def summarise(
    network: Scores,
    baseline: Scores,
    val_accuracy: float | None,
    confidence: float,
    *,
    selected_on_test: bool,
) -> dict[str, object]:
    """The headline metrics by name; `people` is None where a subject is not known.

    `val_accuracy` is None where there is no val, or where the network has learned from it.
    """
    p_value, method = significance.compare(network.confusions, baseline.confusions)
    return {
        "accuracy": network.accuracy,
        **network.confusions.accuracy_interval(confidence).columns("accuracy"),
        "accuracy_worst_seed": min(network.by_seed.values()),
        "accuracy_best_seed": max(network.by_seed.values()),
        "fold_sd": network.fold_sd,
        "macro_f1": network.macro_f1,
        **network.confusions.macro_f1_bounds(confidence),
        "val_accuracy": val_accuracy,
        "baseline_accuracy": baseline.accuracy,
        "baseline_fold_sd": baseline.fold_sd,
        "baseline_macro_f1": baseline.macro_f1,
        "baseline_p_value": p_value,
        "baseline_test": method,
        "images": int(network.confusions.support.sum()),
        "folds": network.folds,
        "seeds": len(network.by_seed),
        "selected_on_test": selected_on_test,
    }


def per_class(
    network: Scores, baseline: Scores, classes: Sequence[str], selected_on: str, confidence: float
) -> pd.DataFrame:
    """The table per_class.csv of the cross-validation, with the recalls of the baseline."""
    table = network.confusions.per_class(classes, selected_on, confidence)
    of_baseline = baseline.confusions.per_class(classes, selected_on, confidence)
    recalls = of_baseline[["recall", "recall_low", "recall_high", "interval"]]
    return table.join(recalls.add_prefix("baseline_"))
