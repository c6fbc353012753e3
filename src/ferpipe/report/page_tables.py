"""Tables of the report, but for the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ferpipe.evaluation import intervals
from ferpipe.report import charts
from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element
from ferpipe.report.text import OPTIMISTIC, percent

# Longer words may be broken anywhere.
LONG_WORD = 20
# Closest pairs of held-out and training images that are listed.
PAIRS = 8
# Columns of text; all others are numbers.
TEXTS = ("class", "classifier", "", "held-out image", "most like it in training", "both show")


def flag(found: Findings) -> Element | None:
    """What marks a table or figure whose numbers were chosen on test."""
    return element("span", OPTIMISTIC, class_="flag") if found.selected_on_test else None


def scroller(label: str, *children: Element) -> Element:
    """A box that scrolls sideways where the page is too narrow, with the keyboard as well."""
    return element("div", children, class_="scroller", tabindex=0, role="region", aria_label=label)


def named(name: str, scope: str) -> Element:
    """The heading of a row or column that is a class."""
    long = any(len(word) > LONG_WORD for word in name.split())
    return element("th", element("span", name), scope=scope, class_="long" if long else None)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Element],
    found: Findings | None = None,
    look: str = "",
) -> Element:
    """A table whose first column names its rows.

    Args:
        caption: what it shows.
        heads: the columns; one without a name holds interval bars, or names.
        rows: of the body.
        found: whose numbers it shows, for the mark that test has chosen; None: no numbers of them.
        look: a class in page.css.
    """
    head = [
        element(
            "th",
            text or element("span", "bar or name", class_="unseen"),
            scope="col",
            class_=None if text in TEXTS else "number",
        )
        for text in heads
    ]
    return element(
        "table",
        element("caption", element("span", f"{caption} ", flag(found) if found else None)),
        element("thead", element("tr", head)),
        element("tbody", list(rows)),
        class_=f"scores {look}".rstrip(),
    )


def number(text: str, look: str = "") -> Element:
    """A cell with a number."""
    return element("td", text, class_=f"number {look}".rstrip())


def per_class(found: Findings) -> list[Element]:
    """Recall of each class with its interval, precision and F1."""
    interval = f"{found.confidence:.0%} interval"
    shown = table(
        "Recall: the share of a class's images that were found. Precision: the share of the images "
        "given that name that show it.",
        ("class", "recall", "", interval, "people", "precision", "F1", "images"),
        map(_class_row, found.per_class),
        found,
    )
    return [
        scroller("Recall, precision and F1 of each class", shown),
        interval_note(found.recall_bases),
    ]


def _class_row(row: Mapping[str, object]) -> Element:
    name, support = str(row["class"]), int(row["support"])
    if not support:
        nothing = element("td", "no images in test", colspan=6, class_="quiet")
        return element("tr", named(name, "row"), nothing, number("0"))
    return element(
        "tr",
        named(name, "row"),
        _with_interval(row, "recall", name),
        number(_people(row)),
        number(percent(float(row["precision"]))),
        number(f"{float(row['f1']):.3f}"),
        number(f"{support:,}"),
    )


def _with_interval(row: Mapping[str, object], measure: str, name: str) -> list[Element]:
    """Three cells: a share, the bar of its interval, the interval."""
    share, low, high = (float(row[f"{measure}{bound}"]) for bound in ("", "_low", "_high"))
    interval = f"{low:.1%} to {high:.1%}"
    described = f"{measure} of {name}: {percent(share)}, interval {interval}"
    bar = charts.interval_bar(share, low, high, described)
    cells = (number(percent(share), "strong"), element("td", bar, class_="barred"))
    return [*cells, number(interval, "quiet")]


def _people(row: Mapping[str, object]) -> str:
    return "" if row["people"] is None else f"{row['people']:,}"


def interval_note(bases: Iterable[tuple[str, int | None]]) -> Element:
    """The methods of a table's or chart's intervals, and a caution where people are few.

    Args:
        bases: method and number of people of each interval.
    """
    return element("p", intervals.note(list(bases)), class_="quiet note")


def baselines(found: Findings) -> list[Element]:
    """Accuracy of the network and its baselines, with intervals and paired tests."""
    rows = [
        element(
            "tr",
            element("th", str(row["classifier"]), scope="row"),
            _with_interval(row, "accuracy", str(row["classifier"])),
            number(_people(row)),
            number(f"{float(row['macro_f1']):.3f}"),
            number("" if row["p_value"] is None else f"{row['p_value']:.2g}"),
        )
        for row in found.classifiers
    ]
    interval = f"{found.confidence:.0%} interval"
    heads = ("classifier", "accuracy", "", interval, "people", "macro-F1", "p against network")
    shown = table("Accuracy on test.", heads, rows, found)
    return [
        scroller("The network and its baselines", shown),
        interval_note((row["interval"], row["people"]) for row in found.classifiers),
    ]


def closest_pairs(found: Findings) -> Element:
    """The held-out images that are most like a training image."""
    rows = [
        element(
            "tr",
            element("th", row["path"], scope="row"),
            element("td", row["closest_path"]),
            number(row["similarity"]),
            element("td", row["shared"]),
        )
        for row in found.closest_pairs[:PAIRS]
    ]
    heads = ("held-out image", "most like it in training", "similarity", "both show")
    caption = "The closest pairs by their pixels, and what both show by their names."
    shown = table(caption, heads, rows, look="pairs")
    return scroller("The closest pairs of held-out and training images", shown)


def small(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], found: Findings
) -> Element:
    """A small table: names, and a few numbers of each."""
    body = [
        element("tr", element("th", name, scope="row"), list(map(number, numbers)))
        for name, *numbers in rows
    ]
    return table(caption, heads, body, found, look="narrow")
