"""Writes the outputs of `evaluate`: metrics, tables, figures, the report and the model card."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import classification_report

from ferpipe.core import files, paths
from ferpipe.core.tables import write_table
from ferpipe.evaluation import calibration, curves, gradcam
from ferpipe.evaluation.metrics import confusion_table
from ferpipe.evaluation.result import METRICS
from ferpipe.model.backend import keras
from ferpipe.report import figures as drawings
from ferpipe.report import model_card, page, style
from ferpipe.report.findings import Findings
from ferpipe.report.text import given_split

FIGURES = paths.REPORTS / "figures"
REPORT = paths.REPORTS / "report.html"
MODEL_CARD = paths.REPORTS / "model_card.md"


def publish(findings: Findings, model: keras.Model, dpi: int) -> None:
    """Write everything; the model is for the heat maps, dpi for the PNG figures."""
    write_tables(findings)
    figures = drawings.draw(findings)
    for name, figure in figures.items():
        style.write_png(figure, FIGURES / f"{name}.png", dpi)
    write_pages(findings, model, figures)


def write_tables(findings: Findings) -> None:
    """Write metrics and predictions, and the tables that DVC plots."""
    result, selected_on = findings.result, findings.result.selected_on
    files.write_json(paths.EVALUATION, findings.metrics)
    files.write_json(paths.METRICS, {name: findings.metrics[name] for name in METRICS})
    files.write_text(paths.REPORTS / "classification_report.txt", text_report(findings))
    tables = {
        "baselines": findings.baselines,
        "confusion": confusion_table(result.confusion, result.classes, selected_on),
        "per_class": findings.per_class,
        "predictions": predictions(findings),
        "reliability": calibration.reliability_table(findings.calibration, selected_on),
        "roc": curves.roc_table(findings.curves, selected_on),
        "precision_recall": curves.precision_recall_table(findings.curves, selected_on),
        "robustness": findings.robustness,
    }
    for name, table in tables.items():
        write_table(paths.REPORTS / f"{name}.csv", table)


def predictions(findings: Findings) -> pd.DataFrame:
    """predictions.csv: path, actual, predicted, and the probability of each class."""
    result = findings.result
    names = np.asarray(result.classes, dtype=object)
    table = {
        "path": result.paths,
        "actual": names[result.labels],
        "predicted": names[result.predicted],
    }
    for name, column in zip(result.classes, result.probabilities.T, strict=True):
        table[f"p_{name}"] = [f"{probability:.6f}" for probability in column]
    return pd.DataFrame(table)


def text_report(findings: Findings) -> str:
    """scikit-learn's classification report, under the headline."""
    result = findings.result
    table = classification_report(
        result.labels,
        result.predicted,
        labels=range(len(result.classes)),
        target_names=result.classes,
        digits=4,
        zero_division=0,
    )
    return "\n".join([findings.headline, *given_split(findings), "", table])


def write_pages(findings: Findings, model: keras.Model, figures: dict[str, Figure]) -> None:
    """Write the report and the model card."""
    pairs = page.explained(findings)
    images, classes = np.array(pairs, int).reshape(-1, 2).T
    maps = gradcam.heat_maps(model, findings.images[images], classes)
    heat_maps = dict(zip(pairs, maps, strict=True))
    files.write_text(REPORT, page.page(findings, figures, heat_maps))
    files.write_text(MODEL_CARD, model_card.card(findings))
