"""The PNG figures of what was decided: confusion matrix, training curves, recall per class."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ferpipe.evaluation import intervals
from ferpipe.report.style import (
    BLUE,
    EDGE,
    GREEN,
    INK,
    QUIET,
    SKY,
    VERMILION,
    drawable,
    entitle,
    escape_note,
    figure,
    readable_on,
)

DASHES = (0, (4, 2))

# A ring, so that the point within stays in sight.
CHOSEN = {"color": GREEN, "marker": "o", "markersize": 10, "markerfacecolor": "none"}


def draw_confusion(
    counts: np.ndarray, classes: Sequence[str], title: str, dpi: int, path: Path
) -> None:
    """Draw a confusion matrix: rows actual, columns predicted, in the order given.

    Each cell holds the number of images and their share of the row. A class without images has a
    row of zeros.

    Args:
        counts: integers of shape (k, k), `counts[actual, predicted]`.
        classes: the k names.
        title: stands above the matrix.
        dpi: pixels per inch.
        path: the PNG to write.
    """
    size = len(classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = matplotlib.colormaps["Blues"](shares)
    names = [drawable(name) for name in classes]
    with figure(0.66 * size, 0.66 * size, dpi, path) as page:
        axes = page.add_axes((0, 0, 1, 1))
        axes.imshow(colours)
        middle = {"ha": "center", "va": "center"}
        for (row, column), count in np.ndenumerate(counts):
            if not count:
                axes.text(column, row, "0", size=9, color=QUIET, **middle)
                continue
            ink = readable_on(colours[row, column])
            share = shares[row, column]
            percent = "<1%" if share < 0.005 else f"{share:.0%}"
            axes.text(column, row - 0.12, f"{count:,}", size=11, weight="bold", color=ink, **middle)
            axes.text(column, row + 0.22, percent, size=8, color=ink, **middle)
        axes.set_xticks(range(size), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(size), names)
        axes.set_xlabel(f"predicted\n{escape_note(classes)}".rstrip(), labelpad=8)
        axes.set_ylabel("actual", labelpad=8)
        axes.tick_params(length=0)
        axes.spines[:].set(visible=True, color=EDGE)
        # Lines between the cells instead of through them.
        axes.grid(visible=False)
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(visible=True, which="minor", linewidth=1)
        axes.tick_params(which="minor", length=0)
        entitle(axes, title)


def draw_curves(
    history: Sequence[Mapping[str, object]], title: str, dpi: int, path: Path, best_epoch: int
) -> None:
    """Draw accuracy and loss per epoch, train and the split that chose the epoch together.

    Args:
        history: one mapping an epoch, in order, with the columns of reports/history.csv; numbers
            may be text.
        title: stands above both panels.
        dpi: pixels per inch.
        path: the PNG to write.
        best_epoch: the epoch whose weights were kept; both panels mark it.
    """
    with figure(10, 3.6, dpi, path) as page:
        # Each panel 4.5 inches wide, with an inch between them.
        accuracy, loss = (page.add_axes((left, 0, 0.45, 1)) for left in (0, 0.55))
        _draw_measure(accuracy, history, "accuracy", best_epoch)
        _draw_measure(loss, history, "loss", best_epoch)
        accuracy.set_ylim(0, 1.03)
        accuracy.yaxis.set_major_formatter(PercentFormatter(1))
        # Zero belongs to the picture before its upper end is chosen: one epoch alone has no range.
        loss.update_datalim([(best_epoch, 0)])
        loss.autoscale_view(scalex=False)
        loss.set_ylim(bottom=0)
        entitle(accuracy, title, pad=26)
        page.legend(
            handles=[
                Line2D([], [], color=BLUE, marker=".", label=history[0]["selected_on"]),
                Line2D([], [], color=VERMILION, marker=".", linestyle=DASHES, label="train"),
                Line2D([], [], label=f"chosen epoch ({best_epoch})", **CHOSEN),
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, -0.15),
            ncols=3,
            frameon=False,
        )


def draw_per_class(rows: Sequence[Mapping[str, object]], title: str, dpi: int, path: Path) -> None:
    """Draw the recall of each class with its interval and the number of images behind it.

    Args:
        rows: one mapping a class, in order, with the columns of reports/per_class.csv; numbers may
            be text, but not `people`. A class whose support is 0 has no recall and no bar.
        title: stands above.
        dpi: pixels per inch.
        path: the PNG to write.
    """
    with figure(5, 0.36 * len(rows) + 0.1, dpi, path) as page:
        axes = page.add_axes((0, 0, 1, 1))
        for position, row in enumerate(rows):
            support = int(row["support"])
            note = f"no images (n = {support})"
            if support:
                recall, low, high = (
                    float(row[column]) for column in ("recall", "recall_low", "recall_high")
                )
                axes.barh(position, recall, height=0.7, color=SKY)
                axes.errorbar(
                    (low + high) / 2, position, xerr=(high - low) / 2, color=INK, capsize=3
                )
                people = "" if row["people"] is None else f", {row['people']:,} people"
                note = f"{recall:.0%} (n = {support:,}{people})"
            # x in widths of the panel: the notes stand in a column of their own.
            axes.text(
                1.03, position, note, color=QUIET, va="center", transform=axes.get_yaxis_transform()
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [drawable(str(row["class"])) for row in rows])
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        note = escape_note([str(row["class"]) for row in rows])
        shown = [(str(row["interval"]), row["people"]) for row in rows if int(row["support"])]
        axes.set_xlabel(
            "\n".join(filter(None, ("recall", textwrap.fill(intervals.note(shown), 62), note)))
        )
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        entitle(axes, title)


def _draw_measure(
    axes: Axes, history: Sequence[Mapping[str, object]], measure: str, best_epoch: int
) -> None:
    """Draw a measure on train and val, the chosen epoch and the border between the phases."""
    epochs = [int(row["epoch"]) for row in history]
    train = [float(row[measure]) for row in history]
    val = [float(row[f"val_{measure}"]) for row in history]
    axes.axvline(best_epoch, color=GREEN, linewidth=1.2)
    axes.plot(epochs, train, color=VERMILION, linestyle=DASHES, marker=".")
    axes.plot(epochs, val, color=BLUE, marker=".")
    axes.plot(best_epoch, val[epochs.index(best_epoch)], **CHOSEN)
    tuned = [int(row["epoch"]) for row in history if row["phase"] == "fine-tune"]
    if tuned and tuned[0] > epochs[0]:
        border = tuned[0] - 0.5
        axes.axvline(border, color=QUIET, linestyle=":", linewidth=1.5)
        # y in heights of the panel: the names of the phases stand above it, back to back.
        above = {"y": 1.02, "size": 9, "color": QUIET, "transform": axes.get_xaxis_transform()}
        axes.text(border, s="head ", ha="right", **above)
        axes.text(border, s=" fine-tune", ha="left", **above)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.set_ylabel(measure)
