"""The PNG figures of probabilities: reliability, ROC and precision-recall."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from ferpipe.evaluation.calibration import Calibration
from ferpipe.evaluation.curves import Curves
from ferpipe.evaluation.intervals import note
from ferpipe.report.style import BLUE, QUIET, VERMILION, drawable, entitle, escape_note, figure

DASHES = (0, (4, 2))
DIAGONAL = {"color": QUIET, "linestyle": ":", "linewidth": 1.2}
COLUMNS = 4
PANEL = 1.7  # inches


def draw_reliability(measured: Sequence[Calibration], title: str, dpi: int, path: Path) -> None:
    """Draw accuracy against confidence, and how many images each point stands for.

    Args:
        measured: without temperature, then with it; or the first alone.
        title: stands above.
        dpi: pixels per inch.
        path: the PNG to write.
    """
    with figure(4.6, 5.2, dpi, path) as page:
        axes = page.add_axes((0, 0.25, 1, 0.75))
        counts = page.add_axes((0, 0, 1, 0.17))
        axes.plot([0, 1], [0, 1], **DIAGONAL)
        labels = _scaling_labels(measured)
        looks = [(VERMILION, DASHES), (BLUE, "-")][-len(measured) :]
        for each, label, (colour, line) in zip(measured, labels, looks, strict=True):
            x = [row.confidence for row in each.bins]
            y = [row.accuracy for row in each.bins]
            axes.plot(x, y, color=colour, linestyle=line, marker="o", markersize=4, label=label)
        last = measured[-1].bins
        for row in last:
            axes.plot([row.confidence] * 2, [row.interval.low, row.interval.high], color=BLUE, lw=1)
        counts.bar(
            [row.low for row in last],
            [row.images for row in last],
            width=[row.high - row.low for row in last],
            align="edge",
            color=BLUE,
            alpha=0.6,
            edgecolor="white",
        )
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.tick_params(labelbottom=False)
        counts.set_xlabel("confidence: probability of the predicted class")
        counts.set_ylabel("images")
        counts.xaxis.set_major_formatter(PercentFormatter(1))
        for each in (axes, counts):
            each.set_xlim(0, 1)
        handles, names = axes.get_legend_handles_labels()
        handles.append(Line2D([], [], color=BLUE, lw=1))
        bases = [(row.interval.method, row.interval.people) for row in last]
        names.append(textwrap.fill(note(bases), 56))
        page.legend(
            handles, names, loc="upper left", bbox_to_anchor=(0, -0.12), frameon=False, fontsize=9
        )
        entitle(axes, title)


def _scaling_labels(measured: Sequence[Calibration]) -> list[str]:
    """What the legend says of each curve."""
    return [
        (f"temperature {each.temperature:.2f}" if each.temperature != 1.0 else "no temperature")
        + f": ECE {each.error:.3f}, log loss {each.log_loss:.3f}"
        for each in measured
    ]


def draw_roc(found: Sequence[Curves], title: str, dpi: int, path: Path) -> None:
    """Draw a small panel for each class: true against false positive rate.

    Args:
        found: the curves of each class, in order.
        title: stands above all of them.
        dpi: pixels per inch.
        path: the PNG to write.
    """
    headings = [(each.name, _number("AUC", each.auc)) for each in found]
    labels = ("false positive rate", "true positive rate")
    with _panels(headings, title, labels, dpi, path) as panels:
        for axes, each in zip(panels, found, strict=True):
            axes.plot([0, 1], [0, 1], **DIAGONAL)
            axes.plot(*each.roc.T, color=BLUE, linewidth=1.8, clip_on=False)


def draw_precision_recall(found: Sequence[Curves], title: str, dpi: int, path: Path) -> None:
    """Draw a small panel for each class: precision against recall; see `draw_roc`."""
    headings = [(each.name, _number("AP", each.average_precision)) for each in found]
    images = sum(each.images for each in found)
    with _panels(headings, title, ("recall", "precision"), dpi, path) as panels:
        for axes, each in zip(panels, found, strict=True):
            axes.plot([0, 1], [each.images / images] * 2, **DIAGONAL)
            axes.step(
                *each.precision_recall.T, where="pre", color=BLUE, linewidth=1.8, clip_on=False
            )


def _number(name: str, value: float | None) -> str:
    return "no images" if value is None else f"{name} {value:.3f}"


@contextmanager
def _panels(
    headings: Sequence[tuple[str, str]],
    title: str,
    labels: tuple[str, str],
    dpi: int,
    path: Path,
) -> Iterator[list[Axes]]:
    """Yield a square panel for each name and number, four in a row, with the same scales."""
    names = [name for name, _ in headings]
    headings = [
        "\n".join([*textwrap.wrap(drawable(name), 24), number]) for name, number in headings
    ]
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    across = PANEL + 0.35
    down = PANEL + 0.45 + 0.17 * max(heading.count("\n") for heading in headings)
    width, height = columns * across, rows * down
    with figure(width, height, dpi, path) as page:
        panels = []
        for position, heading in enumerate(headings):
            row, column = divmod(position, columns)
            corner = (column * across / width, 1 - (row * down + PANEL) / height)
            axes = page.add_axes((*corner, PANEL / width, PANEL / height))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            ticks = np.array([0, 0.5, 1])
            axes.set_xticks(ticks, ["0", "50%", "100%"])
            axes.set_yticks(ticks, ["0", "50%", "100%"] if column == 0 else [""] * 3)
            axes.tick_params(labelsize=8, length=2)
            axes.set_title(heading, loc="left", size=9, pad=4)
            panels.append(axes)
        yield panels
        # Labels stand once, at the lowest panel of the first column, in which every row begins.
        first = panels[(rows - 1) * columns]
        first.set_xlabel(labels[0], size=9)
        first.set_ylabel(labels[1], size=9)
        handles = [Line2D([], [], label="what guessing gives", **DIAGONAL)]
        if note := escape_note(names):
            handles.append(Line2D([], [], linestyle="none", label=note))
        page.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0, 1 - ((rows - 1) * down + PANEL + 0.45) / height),
            frameon=False,
            fontsize=8,
        )
        lines = textwrap.wrap(drawable(title), max(40, round(8.5 * width)))
        page.suptitle(
            "\n".join(lines),
            x=0,
            y=1 + (0.35 + 0.17 * max(heading.count("\n") for heading in headings)) / height,
            ha="left",
            va="bottom",
            size=13,
            weight="bold",
        )
