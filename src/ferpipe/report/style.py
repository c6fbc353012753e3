"""Palette, fonts and files of all figures.

The same values give the same bytes: fonts and defaults are matplotlib's own, whatever the user's
`matplotlibrc` says, and files contain no date and no version. Files are cropped to their content,
so a figure grows with the number of classes and with long names.
"""

from __future__ import annotations

import functools
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D

from ferpipe.core.files import replacing

# Okabe and Ito, Color Universal Design, 2008, https://jfly.uni-koeln.de/color/: distinguishable
# with every common kind of colour vision.
BLUE, SKY, VERMILION, GREEN = "#0072b2", "#56b4e9", "#d55e00", "#009e73"
INK, QUIET, EDGE = "#1f2430", "#5b6372", "#dfe2e8"
# The CSS variables of templates/page.css that replace these colours in the report.
VARIABLES = {
    BLUE: "--first", VERMILION: "--second", GREEN: "--selected", SKY: "--fill",
    INK: "--ink", QUIET: "--quiet", EDGE: "--edge",
}  # fmt: skip
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,  # a class may be called "$5 $6"
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": EDGE,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.major.size": 0,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text stays text
}


@contextmanager
def applied(**settings: object) -> Iterator[None]:
    """Use the project's settings, and these, instead of the user's while the block runs."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | settings)
        yield


def write_png(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure, cropped to its content."""
    with applied(), replacing(path) as file:
        figure.savefig(
            file, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.2,
            metadata={"Software": None},
        )  # fmt: skip


def panels_as_svg(figure: Figure, name: str) -> list[str]:
    """Each panel as an `<svg>` element with CSS variables as colours, without titles and legend.

    The figure is changed. `name` keeps its ids apart from those of other figures in the page.
    """
    for artist in (figure._suptitle, *figure.legends):
        if artist is not None:
            artist.set_visible(False)
    for axes in figure.axes:
        axes.set_title("", loc="left")
    drawings = []
    for number, shown in enumerate(figure.axes):
        for axes in figure.axes:
            axes.set_visible(axes is shown)
        text = io.StringIO()
        with applied(**{"svg.hashsalt": f"{name}-{number}"}):
            figure.savefig(
                text, format="svg", bbox_inches="tight", pad_inches=0.02, transparent=True,
                metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
            )  # fmt: skip
        drawings.append(_inline(text.getvalue()))
    return drawings


def _inline(text: str) -> str:
    """Reduce an SVG file to what a page needs, and replace its colours by CSS variables."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text)
    used = set(re.findall(r'#([\w-]+)["\)]', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return re.sub(r"\s*\n\s*", " ", text).strip()


def grid(
    count: int, width: float, height: float, *, columns: int, title: str, lines: int = 1
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` equal panels of this size in inches, each below `lines` of text."""
    columns = min(columns, count)
    rows = -(-count // columns)
    across, down = width + 0.75, height + 0.55 + 0.17 * lines
    whole = (columns * across - 0.75, rows * down)
    figure = Figure(figsize=whole)
    panels = []
    for position in range(count):
        row, column = divmod(position, columns)
        left, bottom = column * across / whole[0], 1 - (row * down + height) / whole[1]
        panels.append(figure.add_axes((left, bottom, width / whole[0], height / whole[1])))
    # Eight bold letters of this size take about an inch.
    wrapped = textwrap.wrap(drawable(title), max(40, round(8.5 * whole[0])))
    figure.suptitle(
        "\n".join(wrapped), x=0, y=1 + (0.2 + 0.17 * lines) / whole[1], ha="left", va="bottom",
        size=13, weight="bold",
    )  # fmt: skip
    return figure, panels


def legend(figure: Figure, handles: Sequence[object], names: Sequence[str] = ()) -> None:
    """Put a legend, and a note on escaped letters, under a figure."""
    if note := escape_note(names):
        handles = [*handles, Line2D([], [], linestyle="none", label=note)]
    below = (0, 0.1 / figure.get_figheight())
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=below, borderaxespad=0, fontsize=9
    )


def drawable(text: str) -> str:
    """Escape control characters and letters that DejaVu Sans lacks, as in `\\u6012`.

    matplotlib would draw the same box for each of them.
    """
    letters = _letters()
    return "".join(
        letter
        if letter.isprintable() and ord(letter) in letters
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


@functools.cache
def _letters() -> frozenset[int]:
    """The code points that DejaVu Sans has, both plain and bold."""
    plain, bold = (
        FT2Font(font_manager.findfont(FontProperties(family=STYLE["font.family"], weight=weight)))
        for weight in ("normal", "bold")
    )
    return frozenset(plain.get_charmap()) & frozenset(bold.get_charmap())


def escape_note(names: Sequence[str]) -> str:
    """A note for figures in which `drawable` has escaped a letter of these names; or nothing."""
    if all(drawable(name) == name for name in names):
        return ""
    return "\\u... and \\x... are letters that this font lacks"


def readable_on(colour: np.ndarray) -> str:
    """Black or white, whichever has more contrast on an RGB(A) colour with values in 0..1.

    The contrast is that of the Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    channels = np.where(
        colour[:3] <= 0.04045, colour[:3] / 12.92, ((colour[:3] + 0.055) / 1.055) ** 2.4
    )
    luminance = channels @ (0.2126, 0.7152, 0.0722)
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"
