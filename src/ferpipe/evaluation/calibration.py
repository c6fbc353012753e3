"""Calibration: whether what is called 90% sure is right nine times in ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.evaluation.intervals import Interval, of_shares
from ferpipe.model.losses import log_loss, softmax

# As in Guo et al. 2017, so that a number can be held against published ones.
BINS = 15
RELIABILITY_HEADER = (
    *("scaling", "temperature", "bin_low", "bin_high", "confidence"),
    *("accuracy", "accuracy_low", "accuracy_high", "interval", "people", "images", "selected_on"),
)


@dataclass(frozen=True)
class Bin:
    """The images whose most probable class has a probability above `low`, up to `high`.

    Args:
        low: exclusive.
        high: inclusive.
        confidence: mean of those probabilities, 0..1.
        accuracy: share of these images that are right, 0..1.
        interval: of the accuracy.
        images: how many, 1 or more.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    interval: Interval
    images: int


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be taken at their word, at one temperature.

    Args:
        temperature: what the logits were divided by; 1: nothing.
        log_loss: mean of -ln(probability of the true class).
        error: the expected calibration error, 0..1.
        bins: the reliability curve; bins without images are left out.
    """

    temperature: float
    log_loss: float
    error: float
    bins: tuple[Bin, ...]


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Take a temperature back: softmax(logits / T) becomes softmax(logits).

    Args:
        probabilities: float (n, classes), rows summing to 1, at that temperature.
        temperature: above 0.

    Returns:
        float64 (n, classes), rows summing to 1.
    """
    if temperature == 1.0:
        return probabilities
    smallest = np.finfo(np.float32).tiny  # the model's probabilities are float32, some of them 0
    return softmax(temperature * np.log(np.maximum(probabilities, smallest)))


def calibration(
    labels: np.ndarray,
    probabilities: np.ndarray,
    confidence: float,
    temperature: float = 1.0,
    subjects: Sequence[str] = (),
) -> Calibration:
    """Measure calibration in 15 bins of equal width.

    The expected calibration error is the mean distance of confidence and accuracy, bins weighed by
    their images (Guo et al. 2017, https://arxiv.org/abs/1706.04599). Few images make it larger than
    it is: even perfect probabilities do not give 0.

    Args:
        labels: int (n,), class indices.
        probabilities: float (n, classes), rows summing to 1.
        confidence: level of the intervals around accuracies.
        temperature: at which the probabilities are.
        subjects: who each image shows (n); nobody, or an empty one, where that is not known.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.arange(BINS + 1) / BINS
    # The first bin holds 0 as well; rounding may take a probability past 1.
    bin_of = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, BINS - 1)
    intervals = of_shares(right, bin_of, BINS, subjects, confidence)
    bins = []
    for index in np.unique(bin_of):
        within = bin_of == index
        images = int(within.sum())
        bins.append(
            Bin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                confidence=float(sure[within].mean()),
                accuracy=int(right[within].sum()) / images,
                interval=intervals[index],
                images=images,
            )
        )
    # Not `sum`, which rounds otherwise from Python 3.12 on.
    error = math.fsum(each.images * abs(each.accuracy - each.confidence) for each in bins)
    return Calibration(
        temperature=temperature,
        log_loss=log_loss(labels, probabilities),
        error=error / len(labels),
        bins=tuple(bins),
    )


def before_and_after(
    labels: np.ndarray,
    probabilities: np.ndarray,
    temperature: float,
    confidence: float,
    subjects: Sequence[str] = (),
) -> list[Calibration]:
    """Calibration without and with the model's temperature; only the first where that is 1.

    Args:
        labels: int (n,), class indices.
        probabilities: float (n, classes), of the model, its temperature within.
        temperature: the model's own.
        confidence: level of the intervals around accuracies.
        subjects: who each image shows (n); nobody, or an empty one, where that is not known.
    """
    as_trained = uncalibrated(probabilities, temperature)
    measured = [calibration(labels, as_trained, confidence, subjects=subjects)]
    if temperature != 1.0:
        measured.append(calibration(labels, probabilities, confidence, temperature, subjects))
    return measured


def calibration_metrics(measured: Sequence[Calibration]) -> dict[str, object]:
    """ECE of the model as it is, and ECE and log loss without its temperature."""
    return {
        "ece": measured[-1].error,
        "ece_uncalibrated": measured[0].error,
        "log_loss_uncalibrated": measured[0].log_loss,
    }


def reliability_rows(measured: Sequence[Calibration], selected_on: str) -> list[tuple[object, ...]]:
    """Rows of reliability.csv; `scaling` is before or after temperature.

    Args:
        measured: as `before_and_after` gives it.
        selected_on: the split that chose the epoch, val or test.
    """
    return [
        (
            *("after" if index else "before", each.temperature),
            *(row.low, row.high, row.confidence),
            *(row.accuracy, row.interval.low, row.interval.high),
            *(row.interval.method, row.interval.people, row.images, selected_on),
        )
        for index, each in enumerate(measured)
        for row in each.bins
    ]
