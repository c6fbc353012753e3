"""The probabilities of a video's largest face over time, as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ferpipe.prediction.predictor import Prediction
from ferpipe.report import style

WIDTH, ROW = 8.0, 0.5  # inches


def largest(predictions: Sequence[Prediction]) -> Prediction | None:
    """The prediction of the largest face; None without a face."""

    def area(prediction: Prediction) -> float:
        left, top, right, bottom = prediction.face.box if prediction.face else (0, 0, 1, 1)
        return (right - left) * (bottom - top)

    return max(predictions, key=area, default=None)


def figure(seconds: Sequence[float], shown: np.ndarray, classes: Sequence[str]) -> Figure:
    """A band for each class, as high as its probability; a frame lasts until the next one.

    Args:
        seconds: time of each frame (n).
        shown: probabilities (n, classes), NaN where no face was found.
        classes: names of the classes.
    """
    last = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    edges = [*seconds, seconds[-1] + last]
    with style.applied(**{"axes.grid": False}):
        drawing = Figure(figsize=(WIDTH, ROW * len(classes) + 0.6))
        rows = drawing.subplots(len(classes), sharex=True, squeeze=False)[:, 0]
        for axes, name, values in zip(rows, classes, shown.T, strict=True):
            axes.stairs(values, edges, fill=True, color=style.BLUE, linewidth=0)
            axes.set_ylim(0, 1)
            axes.set_yticks([0, 1], ["0%", "100%"] if axes is rows[0] else ["", ""], fontsize=7)
            axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=14)
        rows[0].set_title("Probabilities of the largest face in each frame")
        rows[-1].set_xlabel("seconds")
    return drawing
