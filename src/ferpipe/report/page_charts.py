"""Charts of the report: training, calibration, ROC and precision-recall."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from ferpipe.evaluation.curves import Curves
from ferpipe.report import charts
from ferpipe.report.charts import PERCENT_TICKS, Axes, Line
from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element
from ferpipe.report.page_tables import flag, interval_note, small
from ferpipe.report.text import percent

SMALL = {"width": 132, "height": 112}
# Curves, the area under one of them, its short name, and what draws it.
Multiple = tuple[Curves, float | None, str, Callable[[Curves], Element]]


def key(*entries: tuple[str, str]) -> Element:
    """A legend: pairs of look and meaning."""
    return element(
        "p",
        [
            element("span", element("i", class_=f"swatch {look}", aria_hidden="true"), text)
            for look, text in entries
        ],
        class_="key",
    )


def training(found: Findings) -> list[Element]:
    """Accuracy and loss over the epochs, train and the split that chose."""
    chooser = "test" if found.selected_on_test else "val"
    best = int(found.training["best_epoch"])
    rows = found.history
    if len(rows) == 1:
        (row,) = rows
        numbers = [
            (name, percent(float(row[f"{prefix}accuracy"])), f"{float(row[f'{prefix}loss']):.3f}")
            for name, prefix in (("train", ""), (chooser, "val_"))
        ]
        head = ("", "accuracy", "log loss")
        return [small("One fit, so there is no curve to draw.", head, numbers, found)]
    epochs = charts.whole_ticks(int(rows[0]["epoch"]), int(rows[-1]["epoch"]))
    losses = [float(row[name]) for row in rows for name in ("loss", "val_loss")]
    highest = max((value for value in losses if np.isfinite(value)), default=1.0)
    panels = [
        _measure(found, "accuracy", Axes(epochs, PERCENT_TICKS, x_label="epoch"), chooser, best),
        _measure(
            found, "loss", Axes(epochs, charts.round_ticks(highest), x_label="epoch"), chooser, best
        ),
    ]
    entries = (("first", chooser), ("second dashed", "train"), ("chosen", f"epoch {best}, kept"))
    return [key(*entries), element("div", panels, class_="panels")]


def _measure(found: Findings, measure: str, axes: Axes, chooser: str, best: int) -> Element:
    def points(prefix: str) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), float(row[f"{prefix}{measure}"])) for row in found.history]

    lines = [Line(points(""), "second dashed"), Line(points("val_"), "first", dots=True)]
    low, high = axes.y[0][0], axes.y[-1][0]
    marks = [charts.segment(axes, (best, low), (best, high), "chosen")]
    value = float(found.history[best - 1][f"val_{measure}"])
    told = percent(value) if measure == "accuracy" else f"{value:.3f}"
    described = (
        f"{measure} over {len(found.history)} epochs on train and {chooser}; at epoch {best}, "
        f"which was kept, {told} on {chooser}"
    )
    return element(
        "figure",
        element("figcaption", element("b", measure), " ", flag(found)),
        charts.panel(axes, lines, described, marks),
    )


def reliability(found: Findings) -> list[Element]:
    """Accuracy against confidence, with how many images there are, and the numbers."""
    last = found.calibration[-1]
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, 300, 260, "confidence")
    marks = [charts.segment(axes, (0, 0), (1, 1), "guess")]
    lines = []
    if len(found.calibration) > 1:
        before = [(row.confidence, row.accuracy) for row in found.calibration[0].bins]
        lines.append(Line(before, "second dashed"))
    for row in last.bins:
        ends = ((row.confidence, row.interval.low), (row.confidence, row.interval.high))
        marks.append(charts.segment(axes, *ends, "reach"))
    lines.append(Line([(row.confidence, row.accuracy) for row in last.bins], "first", dots=True))
    described = (
        f"Accuracy against confidence in {len(last.bins)} bins; expected calibration error "
        f"{last.error:.3f}"
    )
    most = max(row.images for row in last.bins)
    counts = Axes(PERCENT_TICKS, charts.round_ticks(most), 300, 90, "confidence")
    boxes = [charts.box(counts, row.low, row.high, row.images, "count") for row in last.bins]
    how_many = f"Images in each bin of confidence; most, {most:,}, in one"
    figures = [
        element("figure", element("figcaption", element("b", "accuracy"), " ", flag(found)),
                charts.panel(axes, lines, described, marks)),
        element("div",
                element("figure", element("figcaption", element("b", "images"), " ", flag(found)),
                        charts.panel(counts, [], how_many, boxes)),
                _calibration_table(found)),
    ]  # fmt: skip
    entries = [("first", "as the model is"), ("guess", "perfect: as sure as right")]
    if len(found.calibration) > 1:
        entries.insert(1, ("second dashed", "without its temperature"))
    return [
        key(*entries),
        element("div", figures, class_="panels"),
        interval_note((row.interval.method, row.interval.people) for row in last.bins),
    ]


def _calibration_table(found: Findings) -> Element:
    names = ("before", "after") if len(found.calibration) > 1 else ("the model",)
    rows = [
        (name, f"{each.temperature:.2f}", f"{each.error:.3f}", f"{each.log_loss:.3f}")
        for name, each in zip(names, found.calibration, strict=True)
    ]
    return small("Lower is better.", ("", "temperature", "ECE", "log loss"), rows, found)


def rocs(found: Findings) -> Element:
    """A small ROC panel for each class."""
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, **SMALL)

    def drawn(each: Curves) -> Element:
        marks = [charts.segment(axes, (0, 0), (1, 1), "guess")]
        described = f"ROC curve of {each.name}, area {each.auc:.3f}"
        return charts.panel(axes, [Line(each.roc.tolist(), "first")], described, marks)

    return _multiples([(each, each.auc, "AUC", drawn) for each in found.curves], found)


def precision_recalls(found: Findings) -> Element:
    """A small precision-recall panel for each class."""
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, **SMALL)

    def drawn(each: Curves) -> Element:
        share = each.images / len(found.labels)
        marks = [charts.segment(axes, (0, share), (1, share), "guess")]
        described = (
            f"Precision-recall curve of {each.name}, average precision {each.average_precision:.3f}"
        )
        return charts.panel(axes, [Line(_steps(each), "first")], described, marks)

    return _multiples([(each, each.average_precision, "AP", drawn) for each in found.curves], found)


def _steps(each: Curves) -> list[tuple[float, float]]:
    """Precision holds from one recall back to the one before, as its average counts it."""
    points = each.precision_recall.tolist()
    corners = [(before[0], after[1]) for before, after in itertools.pairwise(points)]
    return [points[0], *(point for pair in zip(corners, points[1:], strict=True) for point in pair)]


def _multiples(entries: Sequence[Multiple], found: Findings) -> Element:
    cards = []
    for each, area, short, drawn in entries:
        told = f"{short} {area:.3f}" if area is not None else "no images in test"
        caption = element("figcaption", element("b", each.name), " ", told, " ", flag(found))
        cards.append(element("figure", caption, drawn(each) if area is not None else None))
    return element("div", cards, class_="multiples")
