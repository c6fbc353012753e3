"""Figures and tables: medians, ratios round by round, Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs in each round; what slows a round slows both."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median and, of several values, the range: `31.2 (29.8 to 33.0)`."""
    median = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table that also reads well as text; the first column is text, the rest figures.

    Args:
        header: the column names.
        rows: cells of each row, as many as the header has.

    Returns:
        The table, ending with a line break.
    """
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (cells[0], rule, *cells[1:]):
        first, *rest = zip(row, widths, strict=True)
        aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        lines.append(f"| {' | '.join(aligned)} |\n")
    return "".join(lines)
