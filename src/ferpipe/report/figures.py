"""The figures: each is drawn once, written as PNG, and embedded as SVG in the report."""

from __future__ import annotations

import textwrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ferpipe.evaluation import intervals
from ferpipe.evaluation.calibration import accuracy_by_coverage
from ferpipe.report import style
from ferpipe.report.findings import Findings
from ferpipe.report.style import BLUE, EDGE, GREEN, INK, QUIET, SKY, VERMILION, drawable, grid

DASHES = (0, (4, 2))
GUESS = {"color": QUIET, "linestyle": ":", "linewidth": 1.2}
# A ring, so that the point inside stays visible.
SELECTED = {"color": GREEN, "marker": "o", "markersize": 10, "markerfacecolor": "none"}


def draw(findings: Findings) -> dict[str, Figure]:
    """Draw every figure; a name is that of its PNG and of its SVG in the template."""
    with style.applied():
        figures = {
            "confusion": confusion(findings),
            "curves": curves(findings),
            "per_class": per_class(findings),
            "reliability": reliability(findings),
            "coverage": coverage(findings),
            "roc": roc(findings),
            "precision_recall": precision_recall(findings),
        }
        if len(findings.corrupted):
            figures["robustness"] = robustness(findings)
        return figures


def confusion(findings: Findings) -> Figure:
    """Confusion matrix: rows actual, columns predicted; counts and fractions of the row."""
    classes, counts = findings.result.classes, findings.result.confusion
    size = len(classes)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = matplotlib.colormaps["Blues"](fractions)
    names = [drawable(name) for name in classes]
    figure, (axes,) = grid(1, 0.66 * size, 0.66 * size, columns=1, title=findings.headline, lines=0)
    axes.imshow(colours)
    for (row, column), count in np.ndenumerate(counts):
        text = {"x": column, "ha": "center", "va": "center"}
        if not count:
            axes.text(y=row, s="0", size=9, color=QUIET, **text)
            continue
        text["color"] = style.readable_on(colours[row, column])
        fraction = fractions[row, column]
        axes.text(y=row - 0.12, s=f"{count:,}", size=11, weight="bold", **text)
        axes.text(y=row + 0.22, s="<1%" if fraction < 0.005 else f"{fraction:.0%}", size=8, **text)
    axes.set_xticks(range(size), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), names)
    axes.set_xlabel(f"predicted\n{style.escape_note(classes)}".rstrip(), labelpad=8)
    axes.set_ylabel("actual", labelpad=8)
    axes.spines[:].set(visible=True, color=EDGE)
    # Grid lines between the cells instead of through them.
    axes.grid(visible=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", linewidth=1)
    axes.tick_params(which="both", length=0)
    return figure


def curves(findings: Findings) -> Figure:
    """Accuracy and loss per epoch, on train and on the split that selected the epoch."""
    history, best = findings.history, int(findings.training["best_epoch"])
    selected_on = findings.result.selected_on
    title = f"Epoch {best} of {len(history)} kept, selected on {selected_on}"
    figure, panels = grid(2, 4.4, 3.2, columns=2, title=title)
    tuned = history.loc[history["phase"] == "fine-tune", "epoch"]
    for axes, metric in zip(panels, ("accuracy", "loss"), strict=True):
        axes.axvline(best, color=GREEN, linewidth=1.2)
        train = {"color": VERMILION, "linestyle": DASHES, "marker": "."}
        axes.plot(history["epoch"], history[metric], **train)
        axes.plot(history["epoch"], history[f"val_{metric}"], color=BLUE, marker=".")
        axes.plot(best, history[f"val_{metric}"].iloc[best - 1], **SELECTED)
        if len(tuned) and tuned.iloc[0] > history["epoch"].iloc[0]:
            border = tuned.iloc[0] - 0.5
            axes.axvline(border, color=QUIET, linestyle=":", linewidth=1.5)
            # y in heights of the panel: the names of the phases are at its top, back to back.
            text = {"y": 1.02, "size": 9, "color": QUIET, "transform": axes.get_xaxis_transform()}
            axes.text(border, s="head ", ha="right", **text)
            axes.text(border, s=" fine-tune", ha="left", **text)
        axes.set_xlim(history["epoch"].iloc[0] - 0.5, history["epoch"].iloc[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_title(metric)
    accuracy, loss = panels
    accuracy.set_ylim(0, 1.03)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    # Zero counts before the upper limit is computed: a single epoch has no range of its own.
    loss.update_datalim([(best, 0)])
    loss.autoscale_view(scalex=False)
    loss.set_ylim(bottom=0)
    style.legend(
        figure,
        [
            Line2D([], [], color=BLUE, marker=".", label=selected_on),
            Line2D([], [], color=VERMILION, marker=".", linestyle=DASHES, label="train"),
            Line2D([], [], label=f"selected epoch ({best})", **SELECTED),
        ],
    )
    return figure


def per_class(findings: Findings) -> Figure:
    """Recall of each class with its interval and the number of images and people."""
    table = findings.per_class
    names = [drawable(name) for name in table["class"]]
    title = findings.headline
    figure, (axes,) = grid(1, 5, 0.36 * len(table) + 0.1, columns=1, title=title, lines=0)
    for position, row in enumerate(table.to_dict("records")):
        note = "no images (n = 0)"
        if row["support"]:
            low, high = row["recall_low"], row["recall_high"]
            axes.barh(position, row["recall"], height=0.7, color=SKY)
            axes.errorbar((low + high) / 2, position, xerr=(high - low) / 2, color=INK, capsize=3)
            people = "" if row["people"] is None else f", {row['people']:,} people"
            note = f"{row['recall']:.0%} (n = {row['support']:,}{people})"
        # x in widths of the panel: the notes are in a column of their own.
        axes.text(
            1.03, position, note, color=QUIET, va="center", transform=axes.get_yaxis_transform()
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_yticks(range(len(table)), names)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    shown = table[table["support"] > 0]
    note = intervals.note(zip(shown["interval"], shown["people"], strict=True))
    label = ("recall", textwrap.fill(note, 62), style.escape_note(table["class"]))
    axes.set_xlabel("\n".join(filter(None, label)))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    return figure


def reliability(findings: Findings) -> Figure:
    """Accuracy against confidence, and the number of images in each bin."""
    figure, (axes, counts) = grid(2, 3.6, 3.2, columns=2, title=findings.headline)
    axes.plot([0, 1], [0, 1], **GUESS)
    handles = [Line2D([], [], label="perfectly calibrated", **GUESS)]
    looks = [(VERMILION, DASHES), (BLUE, "-")][-len(findings.calibration) :]
    for row, (colour, line) in zip(findings.calibration, looks, strict=True):
        name = "no temperature" if row.temperature == 1.0 else f"temperature {row.temperature:.2f}"
        label = f"{name}: ECE {row.error:.3f}, log loss {row.log_loss:.3f}"
        drawn = {"color": colour, "linestyle": line, "marker": "o", "markersize": 4}
        handles += axes.plot(row.bins["confidence"], row.bins["accuracy"], label=label, **drawn)
    bins = findings.calibration[-1].bins
    axes.vlines(bins["confidence"], bins["accuracy_low"], bins["accuracy_high"], BLUE, lw=1)
    note = intervals.note(zip(bins["interval"], bins["people"], strict=True))
    handles.append(Line2D([], [], color=BLUE, lw=1, label=textwrap.fill(note, 90)))
    widths = bins["bin_high"] - bins["bin_low"]
    counts.bar(bins["bin_low"], bins["images"], width=widths * 0.96, align="edge", color=SKY)
    for panel, caption in ((axes, "accuracy"), (counts, "images")):
        panel.set_title(caption)
        _percent_axes(panel, x="confidence: probability of the predicted class")
    counts.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    counts.yaxis.set_major_formatter("{x:,.0f}")
    counts.set_ylim(0, 1.03 * bins["images"].max())
    style.legend(figure, handles)
    return figure


def coverage(findings: Findings) -> Figure:
    """Accuracy of the most confident images against the fraction of images kept.

    After El-Yaniv and Wiener 2010, https://jmlr.org/papers/v11/el-yaniv10a.html.
    """
    table = accuracy_by_coverage(findings.result.labels, findings.result.probabilities)
    figure, (axes,) = grid(1, 3.6, 3.2, columns=1, title=findings.headline)
    whole = findings.metrics["accuracy"]
    axes.axhline(whole, **GUESS)
    axes.step(table["coverage"], table["accuracy"], where="pre", color=BLUE, linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.text(0.01, whole, f"all images: {whole:.1%}", color=QUIET, va="bottom")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel("coverage: fraction of images kept, most confident first")
    axes.set_title("accuracy of the most confident images")
    margin = max(0.07 * (1 - table["accuracy"].min()), 0.001)
    axes.set_ylim(table["accuracy"].min() - margin, 1 + margin)
    return figure


def roc(findings: Findings) -> Figure:
    """True against false positive rate, one panel for each class against all others."""
    figure, panels = _class_panels(findings, [("AUC", curve.auc) for curve in findings.curves])
    for axes, curve in zip(panels, findings.curves, strict=True):
        axes.plot([0, 1], [0, 1], **GUESS)
        axes.plot(*curve.roc.T, color=BLUE, linewidth=1.8, clip_on=False)
        _percent_axes(axes, "false positive rate", "true positive rate")
    return figure


def precision_recall(findings: Findings) -> Figure:
    """Precision against recall, one panel for each class against all others."""
    areas = [("AP", curve.average_precision) for curve in findings.curves]
    figure, panels = _class_panels(findings, areas)
    for axes, curve in zip(panels, findings.curves, strict=True):
        axes.axhline(curve.images / len(findings.result.labels), **GUESS)
        line = {"color": BLUE, "linewidth": 1.8, "clip_on": False}
        axes.step(*curve.precision_recall.T, where="pre", **line)
        _percent_axes(axes, "recall", "precision")
    return figure


def robustness(findings: Findings) -> Figure:
    """Accuracy at each strength of each corruption, one panel for each."""
    whole = findings.robustness.iloc[:1]
    accuracy = whole["accuracy"].iloc[0]
    corruptions = findings.corrupted.groupby("corruption", sort=False)
    title = f"Accuracy on corrupted test images; {accuracy:.1%} on them as they are"
    figure, panels = grid(len(corruptions), 1.6, 1.2, columns=4, title=title, lines=2)
    for axes, (name, rows) in zip(panels, corruptions, strict=True):
        points = pd.concat([whole, rows])
        places = range(len(points))
        axes.axhline(accuracy, **GUESS)
        axes.vlines(places, points["accuracy_low"], points["accuracy_high"], BLUE, lw=1)
        axes.plot(places, points["accuracy"], color=BLUE, marker="o", markersize=4, clip_on=False)
        axes.set_title(f"{name}\n{rows['unit'].iloc[0]}", size=9)
        axes.set_xticks(places, ["none", *map(str, rows["strength"])], size=9)
        axes.set_yticks([0, 0.5, 1], ["0", "50%", "100%"], size=9)
        axes.set_xlim(-0.3, len(rows) + 0.3)
        axes.set_ylim(0, 1)
        axes.tick_params(length=2)
    bases = zip(findings.robustness["interval"], findings.robustness["people"], strict=True)
    note = textwrap.fill(intervals.note(bases), 90)
    handles = [Line2D([], [], label="without corruption", **GUESS)]
    style.legend(figure, [*handles, Line2D([], [], color=BLUE, lw=1, label=note)])
    return figure


def _class_panels(
    findings: Findings, areas: list[tuple[str, float | None]]
) -> tuple[Figure, list[Axes]]:
    """A small square panel for each class, under its name and the area under its curve."""
    names = [textwrap.wrap(drawable(curve.name), 22) for curve in findings.curves]
    lines = 1 + max(map(len, names))
    figure, panels = grid(len(names), 1.6, 1.6, columns=4, title=findings.headline, lines=lines)
    for axes, name, (metric, area) in zip(panels, names, areas, strict=True):
        value = "no images" if area is None else f"{metric} {area:.3f}"
        axes.set_title("\n".join([*name, value]), size=9)
        axes.tick_params(labelsize=9, length=2)
    handles = [Line2D([], [], label="random guess", **GUESS)]
    style.legend(figure, handles, [curve.name for curve in findings.curves])
    return figure, panels


def _percent_axes(axes: Axes, x: str, y: str = "") -> None:
    """Label both axes, from 0 to 100% with three ticks."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([0, 0.5, 1], ["0", "50%", "100%"])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(x, size=9)
    axes.set_ylabel(y, size=9)
