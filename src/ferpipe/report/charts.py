"""Charts of the report as inline SVG and HTML; page.css colours them, in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.report.markup import Element, element
from ferpipe.report.style import readable_on

PERCENT_TICKS = ((0.0, "0"), (0.5, "50%"), (1.0, "100%"))
# Cells of the confusion matrix have one of so many tints.
TINTS = 10
# Scheme -> background, tint of what is right, tint of what is mixed up: blue and vermilion of Okabe
# and Ito, 2008, the blue darker, so that white letters are readable on it.
TINTED = {
    "light": ((255, 255, 255), (0, 92, 150), (213, 94, 0)),
    "dark": ((22, 27, 36), (86, 180, 233), (240, 150, 70)),
}

Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """A line of a panel.

    Args:
        points: (x, y) in data units; a y that is no number leaves a gap.
        look: its class in page.css.
        dots: whether each point is marked.
    """

    points: Sequence[tuple[float, float]]
    look: str
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """Scales and size of a panel; the ticks at both ends are the ends of the scale.

    Args:
        x: ticks of the horizontal scale, ascending.
        y: ticks of the vertical scale, ascending.
        width: of the plot, in pixels.
        height: of the plot, in pixels.
        x_label: under the scale.
    """

    x: Ticks
    y: Ticks
    width: int = 300
    height: int = 190
    x_label: str = ""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point in data units lies, in pixels."""
        (left, _), (right, _) = self.x[0], self.x[-1]
        (low, _), (high, _) = self.y[0], self.y[-1]
        return (
            self.width * (x - left) / (right - left),
            self.height * (1 - (y - low) / (high - low)),
        )


def panel(
    axes: Axes, lines: Sequence[Line], description: str, marks: Sequence[Element] = ()
) -> Element:
    """Draw lines over two scales.

    Args:
        axes: the scales.
        lines: the later on top.
        description: what the panel shows, for those who do not see it.
        marks: SVG elements between grid and lines, in pixels of the plot.
    """
    left = 12 + 7 * max(len(text) for _, text in axes.y)
    top, right, bottom = 10, 18, 40 if axes.x_label else 24
    grid = [
        element("line", class_="grid", x1=0, x2=axes.width, y1=_px(y), y2=_px(y))
        for y in (axes.at(axes.x[0][0], value)[1] for value, _ in axes.y)
    ]
    scale = [
        element("text", text, class_="tick", x=-8, y=_px(axes.at(axes.x[0][0], value)[1] + 4),
                text_anchor="end")
        for value, text in axes.y
    ] + [
        element("text", text, class_="tick", x=_px(axes.at(value, axes.y[0][0])[0]),
                y=axes.height + 17, text_anchor="middle")
        for value, text in axes.x
    ]  # fmt: skip
    if axes.x_label:
        middle = {"x": _px(axes.width / 2), "y": axes.height + 34, "text_anchor": "middle"}
        scale.append(element("text", axes.x_label, class_="tick", **middle))
    return element(
        "svg",
        element(
            "g", grid, scale, list(marks), [_drawn(axes, line) for line in lines],
            transform=f"translate({left} {top})",
        ),
        role="img",
        aria_label=description,
        viewBox=f"0 0 {axes.width + left + right} {axes.height + top + bottom}",
        width=axes.width + left + right,
        height=axes.height + top + bottom,
    )  # fmt: skip


def _drawn(axes: Axes, line: Line) -> list[Element]:
    path, pen_is_down = [], False
    for x, y in line.points:
        if not math.isfinite(y):
            pen_is_down = False
            continue
        path.append(f"{'L' if pen_is_down else 'M'}{' '.join(map(_px, axes.at(x, y)))}")
        pen_is_down = True
    drawn = [element("path", class_=f"line {line.look}", d="".join(path))]
    if line.dots:
        drawn += [dot(axes, x, y, 3, line.look) for x, y in line.points if math.isfinite(y)]
    return drawn


def dot(axes: Axes, x: float, y: float, radius: float, look: str) -> Element:
    """A round mark at a point in data units."""
    across, down = map(_px, axes.at(x, y))
    return element("circle", class_=f"dot {look}", cx=across, cy=down, r=_px(radius))


def segment(axes: Axes, start: tuple[float, float], end: tuple[float, float], look: str) -> Element:
    """A straight mark between two points in data units."""
    (x1, y1), (x2, y2) = axes.at(*start), axes.at(*end)
    return element("line", class_=f"mark {look}", x1=_px(x1), y1=_px(y1), x2=_px(x2), y2=_px(y2))


def box(axes: Axes, left: float, right: float, height: float, look: str) -> Element:
    """An upright bar from the bottom, in data units."""
    x1, y1 = axes.at(left, height)
    x2, y2 = axes.at(right, axes.y[0][0])
    sides = {"width": _px(max(x2 - x1 - 1.5, 0.5)), "height": _px(max(y2 - y1, 0))}
    return element("rect", class_=look, x=_px(x1), y=_px(y1), **sides)


def _px(value: float) -> str:
    """A length with a tenth of a pixel; a page needs no more, and is the shorter for it."""
    return f"{round(value, 1) + 0.0:.10g}"


def round_ticks(highest: float) -> list[tuple[float, str]]:
    """Three to six ticks from 0 to `highest` or a little beyond, at steps of 1, 2 or 5."""
    if not math.isfinite(highest) or highest <= 0:
        highest = 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(
        factor * power for factor in (0.2, 0.5, 1.0, 2.0, 5.0) if highest / (factor * power) <= 5
    )
    count = max(1, math.ceil(highest / step - 1e-9))
    return [(number * step, f"{number * step:.10g}") for number in range(count + 1)]


def whole_ticks(first: int, last: int) -> list[tuple[float, str]]:
    """Round whole numbers between `first` and `last`, at most seven; the ends without a number."""
    steps = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= 6)
    numbers = range(first - first % -step, last + 1, step)
    ticks = {float(first): "", float(last): ""} | {float(n): str(n) for n in numbers}
    return sorted(ticks.items())


def interval_bar(value: float, low: float, high: float, description: str) -> Element:
    """A bar from 0 to `value` of 1, and the interval around its end."""
    return element(
        "div",
        element("div", class_="fill", style=f"width:{value:.2%}"),
        element("div", class_="reach", style=f"left:{low:.2%};width:{high - low:.2%}"),
        class_="bar",
        role="img",
        aria_label=description,
    )


def tint(share: float, *, right: bool) -> str:
    """The class of a cell of the confusion matrix that holds this share of its row."""
    return f"{'right' if right else 'mixed'}{max(1, round(share * TINTS))}"


def tint_styles() -> str:
    """CSS for every tint, in both schemes; black or white letters, whichever are easier to read."""
    rules = {
        scheme: "".join(
            f".{name}{number}{{background:#{_hex(mixed)};color:{readable_on(mixed)}}}"
            for name, hue in zip(("right", "mixed"), hues, strict=True)
            for number in range(1, TINTS + 1)
            # The first tint is strong enough to be seen.
            for mixed in [_mix(paper, hue, 0.1 + 0.9 * number / TINTS)]
        )
        for scheme, (paper, *hues) in TINTED.items()
    }
    dark = f"@media screen and (prefers-color-scheme:dark){{{rules['dark']}}}"
    return rules["light"] + dark


def _mix(paper: Sequence[int], hue: Sequence[int], share: float) -> np.ndarray:
    return np.rint(np.add(np.multiply(paper, 1 - share), np.multiply(hue, share))) / 255


def _hex(colour: np.ndarray) -> str:
    return "".join(f"{round(channel * 255):02x}" for channel in colour)
