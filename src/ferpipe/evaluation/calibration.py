"""Calibration: whether what is called 90% sure is right nine times in ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.evaluation.intervals import wilson
from ferpipe.model.losses import log_loss, softmax

# As in Guo et al. 2017, so that a number can be held against published ones.
BINS = 15
RELIABILITY_HEADER = (
    *("scaling", "temperature", "bin_low", "bin_high", "confidence"),
    *("accuracy", "accuracy_low", "accuracy_high", "images", "chosen_on"),
)


@dataclass(frozen=True)
class Bin:
    """The images whose most probable class has a probability above `low`, up to `high`.

    Args:
        low: exclusive.
        high: inclusive.
        confidence: mean of those probabilities, 0..1.
        accuracy: share of these images that are right, with Wilson's interval, 0..1.
        accuracy_low: its lower bound.
        accuracy_high: its upper bound.
        images: how many, 1 or more.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
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
    labels: np.ndarray, probabilities: np.ndarray, confidence: float, temperature: float = 1.0
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
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.arange(BINS + 1) / BINS
    # The first bin holds 0 as well; rounding may take a probability past 1.
    numbers = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, BINS - 1)
    bins = []
    for number in np.unique(numbers):
        within = numbers == number
        hits, images = int(right[within].sum()), int(within.sum())
        bins.append(
            Bin(
                float(edges[number]),
                float(edges[number + 1]),
                float(sure[within].mean()),
                hits / images,
                *wilson(hits, images, confidence),
                images,
            )
        )
    distances = (each.images * abs(each.accuracy - each.confidence) for each in bins)
    error = sum(distances) / len(labels)
    return Calibration(temperature, log_loss(labels, probabilities), error, tuple(bins))


def before_and_after(
    labels: np.ndarray, probabilities: np.ndarray, temperature: float, confidence: float
) -> list[Calibration]:
    """Calibration without and with the model's temperature; only the first where that is 1.

    Args:
        labels: int (n,), class indices.
        probabilities: float (n, classes), of the model, its temperature within.
        temperature: the model's own.
        confidence: level of the intervals around accuracies.
    """
    as_trained = uncalibrated(probabilities, temperature)
    measured = [calibration(labels, as_trained, confidence)]
    if temperature != 1.0:
        measured.append(calibration(labels, probabilities, confidence, temperature))
    return measured


def numbers(measured: Sequence[Calibration]) -> dict[str, object]:
    """What metrics.json says: ECE of the model as it is, and what both were without temperature."""
    return {
        "ece": measured[-1].error,
        "ece_uncalibrated": measured[0].error,
        "log_loss_uncalibrated": measured[0].log_loss,
    }


def reliability_rows(measured: Sequence[Calibration], chosen_on: str) -> list[tuple[object, ...]]:
    """Rows of reliability.csv; `scaling` is before or after temperature.

    Args:
        measured: as `before_and_after` gives it.
        chosen_on: the split that chose the epoch, val or test.
    """
    return [
        (
            *("before" if number == 0 else "after", each.temperature),
            *(row.low, row.high, row.confidence),
            *(row.accuracy, row.accuracy_low, row.accuracy_high, row.images, chosen_on),
        )
        for number, each in enumerate(measured)
        for row in each.bins
    ]
