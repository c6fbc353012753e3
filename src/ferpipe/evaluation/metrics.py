"""Metrics of confusion matrices: int (..., classes, classes), rows the actual class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count int (classes, classes): rows the actual class, columns the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, -1)


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
