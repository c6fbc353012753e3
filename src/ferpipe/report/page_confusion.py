"""The confusion matrix of the report, and the classes that were mixed up most often."""

from __future__ import annotations

from ferpipe.report import charts
from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element
from ferpipe.report.page_tables import flag, named, scroller

# More classes, or longer names, and the names over the matrix stand upright.
FLAT_CLASSES, FLAT_LETTERS = 8, 10
# Pairs of classes that are listed beside it.
MIXED_UP = 6


def confusion(found: Findings) -> Element:
    """Counts and shares of each actual class, as a table that colours itself."""
    upright = len(found.classes) > FLAT_CLASSES or max(map(len, found.classes)) > FLAT_LETTERS
    totals = found.confusion.sum(axis=1)
    head = element(
        "tr",
        element("th", "actual \\ predicted", scope="col", class_="corner"),
        [named(name, "col") for name in found.classes],
        element("th", element("span", "images"), scope="col", class_="total"),
    )
    body = [
        element(
            "tr",
            named(name, "row"),
            [_cell(int(count), int(total), right=row == column)
             for column, count in enumerate(counts)],
            element("td", f"{total:,}", class_="total"),
        )
        for row, (name, counts, total) in enumerate(
            zip(found.classes, found.confusion, totals, strict=True)
        )
    ]  # fmt: skip
    table = element(
        "table",
        element(
            "caption",
            element(
                "span",
                "Rows: what an image shows. Columns: what it was taken for. "
                "Shares are of the row. ",
                flag(found),
            ),
        ),
        element("thead", head),
        element("tbody", body),
        class_=f"confusion{' upright' if upright else ''}",
    )
    return element(
        "div",
        scroller("Confusion matrix", table),
        _mixed_up(found),
        class_="stacked" if upright else "beside",
    )


def _mixed_up(found: Findings) -> Element:
    """The pairs of classes that were mixed up most often."""
    pairs = found.confusions[:MIXED_UP]
    if not pairs:
        return element("div", element("h3", "Most often mixed up"), element("p", "Nothing."))
    items = [
        element(
            "li",
            element("b", f"{each.images:,}"), f" of {each.of:,} {each.actual} taken for ",
            each.predicted,
        )
        for each in pairs
    ]  # fmt: skip
    return element(
        "div", element("h3", "Most often mixed up"), element("ul", items, class_="plain")
    )


def _cell(count: int, total: int, *, right: bool) -> Element:
    if not count:
        return element("td", "0", class_="none")
    share = count / total
    look = charts.tint(share, right=right)
    rounded = "<1%" if share < 0.005 else f"{share:.0%}"
    return element("td", element("b", f"{count:,}"), element("small", rounded), class_=look)
