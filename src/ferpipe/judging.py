"""Judging predictions that cover every image once for each seed."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from ferpipe import scoring
from ferpipe.errors import PipelineError

# Rows of a predictions table, with `path`, `actual` and `predicted`, of each (seed, fold).
Folds = Mapping[tuple[int, int], Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Judged:
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


def judge(
    folds: Folds,
    paths: Sequence[str],
    classes: Sequence[str],
    subjects: Sequence[str] = (),
) -> Judged:
    """Judge the predictions on test of every fold of every seed.

    Args:
        folds: the test rows.
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
    for (seed, _), rows in folds.items():
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
    return Judged(
        by_seed={seed: fmean(itertools.chain(*of_seed)) for seed, of_seed in hits.items()},
        fold_sd=fmean(stdev(map(fmean, of_seed)) for of_seed in hits.values()),
        confusion=scoring.confusion(labels, guesses, len(classes)),
        by_subject=scoring.by_subject(labels, guesses, who, len(classes)) if all(who) else None,
    )
