"""Metrics of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CONFUSION_HEADER = ("actual", "predicted", "count", "share", "selected_on")


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count int (classes, classes): rows the actual class, columns the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, -1)


def confusion_rows(
    counts: np.ndarray, classes: Sequence[str], selected_on: str
) -> list[tuple[object, ...]]:
    """Rows of a confusion.csv; the share is of the actual class, 0..1.

    Args:
        counts: int (classes, classes), as `confusion` gives them.
        classes: class names.
        selected_on: the split that chose the epoch, val or test.
    """
    totals = np.maximum(counts.sum(axis=1), 1)
    return [
        (actual, predicted, int(counts[i, j]), float(counts[i, j] / totals[i]), selected_on)
        for i, actual in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]


def by_subject(
    labels: np.ndarray, predicted: np.ndarray, subjects: Sequence[str], classes: int
) -> np.ndarray:
    """Count int (subjects, classes, classes), as `confusion` does, for each subject in turn.

    Args:
        labels: int (n,), class indices.
        predicted: int (n,), class indices.
        subjects: who each image shows; the counts are in the sorted order of who there is.
        classes: how many classes there are.
    """
    names, who = np.unique(np.asarray(subjects), return_inverse=True)
    counts = np.zeros((len(names), classes, classes), np.int64)
    np.add.at(counts, (who, labels, predicted), 1)
    return counts


def accuracy(counts: np.ndarray) -> np.ndarray:
    """The share that is right of counts (..., classes, classes); float (...)."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The mean F1 of the classes that have images, of counts (..., classes, classes)."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    images = counts.sum(axis=-1)
    f1 = 2 * right / np.maximum(images + counts.sum(axis=-2), 1)
    return f1.sum(axis=-1, where=images > 0) / (images > 0).sum(axis=-1)
