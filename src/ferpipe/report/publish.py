"""Writing the outputs of `evaluate`: tables, figures, the report and the model card."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import classification_report

from ferpipe.core import files, paths
from ferpipe.evaluation import calibration, curves, gradcam, metrics
from ferpipe.evaluation.result import METRICS
from ferpipe.model.backend import keras
from ferpipe.report import figures, model_card, page, probability_figures
from ferpipe.report.findings import Findings

FIGURES = paths.REPORTS / "figures"
REPORT = paths.REPORTS / "report.html"
MODEL_CARD = paths.REPORTS / "model_card.md"


def write_tables(found: Findings) -> None:
    """Write metrics.json, predictions, the text report and the tables that DVC plots."""
    selected_on = "test" if found.selected_on_test else "val"
    files.write_json(paths.EVALUATION, found.metrics)
    files.write_json(paths.METRICS, {name: found.metrics[name] for name in METRICS})
    files.write_csv(
        paths.REPORTS / "per_class.csv",
        tuple(found.per_class[0]),
        [tuple(row.values()) for row in found.per_class],
    )
    files.write_text(paths.REPORTS / "classification_report.txt", text_report(found))
    tables = {
        "baselines": (
            tuple(found.classifiers[0]),
            [tuple(row.values()) for row in found.classifiers],
        ),
        "predictions": (
            ("path", "actual", "predicted", *(f"p_{name}" for name in found.classes)),
            prediction_rows(found),
        ),
        "confusion": (
            metrics.CONFUSION_HEADER,
            metrics.confusion_rows(found.confusion, found.classes, selected_on),
        ),
        "reliability": (
            calibration.RELIABILITY_HEADER,
            calibration.reliability_rows(found.calibration, selected_on),
        ),
        "roc": (curves.ROC_HEADER, curves.roc_rows(found.curves, selected_on)),
        "precision_recall": (
            curves.PRECISION_RECALL_HEADER,
            curves.precision_recall_rows(found.curves, selected_on),
        ),
    }
    for name, (header, rows) in tables.items():
        files.write_csv(paths.REPORTS / f"{name}.csv", header, rows)


def prediction_rows(found: Findings) -> list[tuple[object, ...]]:
    """Rows of predictions.csv: path, actual, predicted, and the probability of each class."""
    return [
        (path, found.classes[label], found.classes[guess], *(f"{p:.6f}" for p in row))
        for path, label, guess, row in zip(
            found.paths, found.labels, found.predicted, found.probabilities, strict=True
        )
    ]


def text_report(found: Findings) -> str:
    """The familiar classification report, under the headline that says what it is of."""
    table = classification_report(
        found.labels,
        found.predicted,
        labels=range(len(found.classes)),
        target_names=found.classes,
        digits=4,
        zero_division=0,
    )
    return f"{found.headline}\n\n{table}"


def draw_figures(found: Findings, dpi: int) -> None:
    """Draw the PNG figures, each under the headline that says how far to trust it."""
    title = found.headline
    best = int(found.training["best_epoch"])
    chooser = "test" if found.selected_on_test else "val"
    kept = f"Epoch {best} of {len(found.history)} kept, chosen on {chooser}"
    figures.draw_confusion(found.confusion, found.classes, title, dpi, FIGURES / "confusion.png")
    figures.draw_curves(found.history, kept, dpi, FIGURES / "curves.png", best)
    figures.draw_per_class(found.per_class, title, dpi, FIGURES / "per_class.png")
    probability_figures.draw_reliability(found.calibration, title, dpi, FIGURES / "reliability.png")
    probability_figures.draw_roc(found.curves, title, dpi, FIGURES / "roc.png")
    probability_figures.draw_precision_recall(
        found.curves, title, dpi, FIGURES / "precision_recall.png"
    )


def write_pages(found: Findings, model: keras.Model) -> None:
    """Write the report and the model card.

    Args:
        found: what the model did and is.
        model: the model, for its heat maps.
    """
    pairs = page.looked_at(found)
    numbers, classes = np.array(pairs, int).reshape(-1, 2).T
    maps = gradcam.heat_maps(model, found.images[numbers], classes)
    files.write_text(REPORT, page.page(found, dict(zip(pairs, maps, strict=True))))
    files.write_text(MODEL_CARD, model_card.card(found))
