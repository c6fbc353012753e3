"""Calibration: whether 90% of the images predicted with a probability of 0.9 are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferpipe.evaluation import intervals
from ferpipe.model.losses import log_loss, softmax

# As in Guo et al. 2017, so that the error compares with published ones.
BINS = 15


@dataclass(frozen=True)
class Calibration:
    """The calibration of probabilities at one temperature."""

    temperature: float  # what the logits were divided by; 1: nothing
    error: float  # the expected calibration error, 0..1
    log_loss: float
    bins: pd.DataFrame  # with images: confidence above bin_low, up to bin_high


def calibration(
    labels: np.ndarray,
    probabilities: np.ndarray,
    confidence: float,
    temperature: float = 1.0,
    subjects: Sequence[str] = (),
) -> Calibration:
    """Measure calibration of probabilities, float (n, classes), in 15 bins of equal width.

    The expected calibration error is the mean distance of confidence and accuracy, weighted by the
    images of a bin (Guo et al. 2017, https://arxiv.org/abs/1706.04599). It is biased upwards for
    few images: even perfect probabilities do not give 0.
    """
    confidences = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.arange(BINS + 1) / BINS
    # The first bin includes 0; rounding may give a probability above 1.
    bin_index = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, BINS - 1)
    images = pd.DataFrame({"confidence": confidences, "accuracy": right}).groupby(bin_index)
    means = images.mean()
    counts, over = intervals.count_by_person(
        subjects, range(len(labels)), (BINS, 2), bin_index, right.astype(int)
    )
    counts = counts[:, means.index]
    accuracy_intervals = intervals.of_shares(counts[..., 1], counts.sum(axis=-1), over, confidence)
    bins = pd.DataFrame(
        {
            "bin_low": edges[means.index],
            "bin_high": edges[means.index + 1],
            **means.reset_index(drop=True),
            **intervals.table(accuracy_intervals, "accuracy"),
            "images": images.size().to_numpy(),
        }
    )
    distances = (bins["accuracy"] - bins["confidence"]).abs()
    return Calibration(
        temperature=temperature,
        error=float((bins["images"] * distances).sum() / len(labels)),
        log_loss=log_loss(labels, probabilities),
        bins=bins,
    )


def before_and_after(
    labels: np.ndarray,
    probabilities: np.ndarray,
    temperature: float,
    confidence: float,
    subjects: Sequence[str] = (),
) -> list[Calibration]:
    """Calibration without and with the model's temperature; only the first where that is 1."""
    if temperature == 1.0:
        return [calibration(labels, probabilities, confidence, subjects=subjects)]
    smallest = np.finfo(np.float32).tiny  # the model's probabilities are float32, some of them 0
    before = softmax(temperature * np.log(np.maximum(probabilities, smallest)))
    return [
        calibration(labels, before, confidence, subjects=subjects),
        calibration(labels, probabilities, confidence, temperature, subjects),
    ]


def calibration_metrics(measured: Sequence[Calibration]) -> dict[str, object]:
    """ECE of the model as it is, and ECE and log loss without its temperature."""
    return {
        "ece": measured[-1].error,
        "ece_uncalibrated": measured[0].error,
        "log_loss_uncalibrated": measured[0].log_loss,
    }


def reliability_table(measured: Sequence[Calibration], selected_on: str) -> pd.DataFrame:
    """The table reliability.csv: the bins `before` and `after` temperature scaling."""
    names = ["scaling", "temperature"]
    keys = zip(("before", "after"), (one.temperature for one in measured), strict=False)
    table = pd.concat([one.bins for one in measured], keys=list(keys), names=names)
    return table.reset_index(names).assign(selected_on=selected_on)


def accuracy_by_coverage(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Accuracy of the most confident images, for every fraction of images that can be kept.

    The risk-coverage curve of selective classification (El-Yaniv & Wiener 2010,
    https://jmlr.org/papers/v11/el-yaniv10a.html), with accuracy = 1 - risk and coverage ascending
    to 1. Images of equal confidence are kept together.
    """
    right = pd.Series(probabilities.argmax(axis=1) == labels)
    by_confidence = right.groupby(probabilities.max(axis=1)).agg(["sum", "size"])
    kept = by_confidence.sort_index(ascending=False).cumsum().reset_index(drop=True)
    return pd.DataFrame(
        {"coverage": kept["size"] / len(labels), "accuracy": kept["sum"] / kept["size"]}
    )
