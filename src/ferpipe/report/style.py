"""What all PNG figures share: palette, font, size, and how they are written.

The same numbers give the same bytes: the fonts are those that come with matplotlib, the settings
its defaults whatever the user's `matplotlibrc` says, and the file names no software and no date.
Plots are laid out in inches and the file is cut to what they hold, so a figure grows with the
number of classes and with long names instead of clipping them.
"""

from __future__ import annotations

import functools
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

from ferpipe.core.files import replacing

# Okabe and Ito, Color Universal Design, 2008, https://jfly.uni-koeln.de/color/: people with every
# common kind of colour vision can tell these apart.
BLUE, SKY, VERMILION, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#009E73"
INK, QUIET, EDGE = "#1f2430", "#5b6372", "#dfe2e8"
DASHES = (0, (4, 2))
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    # A class may be called "$5 $6": no name is a formula.
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": EDGE,
    "xtick.color": INK,
    "ytick.color": INK,
}


def drawable(text: str) -> str:
    """Replace what the font cannot draw by its escape, as in `\\u6012`.

    A box for every Chinese or Japanese letter would make such names alike, and matplotlib would
    warn of each.

    Args:
        text: any text, such as the name of a class.

    Returns:
        The text with control characters and letters that DejaVu Sans lacks escaped as Python does.
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
    """The code points that DejaVu Sans can draw, both plain and bold."""
    plain, bold = (
        FT2Font(font_manager.findfont(FontProperties(family=STYLE["font.family"], weight=weight)))
        for weight in ("normal", "bold")
    )
    return frozenset(plain.get_charmap()) & frozenset(bold.get_charmap())


@contextmanager
def figure(width: float, height: float, dpi: int, path: Path) -> Iterator[Figure]:
    """Yield a figure of so many inches and write it, cut to its content, when the block ends."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        made = Figure(figsize=(width, height))
        yield made
        with replacing(path) as file:
            made.savefig(
                file,
                format="png",
                dpi=dpi,
                bbox_inches="tight",
                pad_inches=0.2,
                metadata={"Software": None},
            )


def entitle(axes: Axes, title: str, pad: float = 12) -> None:
    """Put the title above, in as many lines as keep it about as wide as what it is above."""
    inches = axes.get_position().width * axes.figure.get_figwidth()
    # Eight bold letters of this size take about an inch.
    lines = textwrap.wrap(drawable(title), max(24, round(8.5 * inches)), break_long_words=False)
    axes.set_title("\n".join(lines), loc="left", size=13, weight="bold", pad=pad)


def escape_note(names: Sequence[str]) -> str:
    """What to say under a figure where `drawable` has escaped a letter; empty where it has not."""
    if all(drawable(name) == name for name in names):
        return ""
    return "\\u... and \\x... stand for letters that this font lacks"


def readable_on(colour: np.ndarray) -> str:
    """Black or white, whichever has more contrast on an RGB(A) colour with values in 0..1.

    The contrast is that of the Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    channels = np.where(
        colour[:3] <= 0.04045, colour[:3] / 12.92, ((colour[:3] + 0.055) / 1.055) ** 2.4
    )
    luminance = channels @ (0.2126, 0.7152, 0.0722)
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"
