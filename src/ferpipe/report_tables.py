"""Tables of the report: confusion matrix, and the scores of each class."""

from __future__ import annotations

from collections.abc import Mapping

from ferpipe import charts
from ferpipe.findings import Findings
from ferpipe.markup import Element, element
from ferpipe.wording import TOO_HIGH, percent

# More classes, or longer names, and the names over the confusion matrix stand upright.
FLAT_CLASSES, FLAT_LETTERS = 8, 10
# Longer words may be broken anywhere.
LONG_WORD = 20
# Pairs of classes that are listed beside the confusion matrix.
MIXED_UP = 6
# Closest pairs of held-out and training images that are listed.
PAIRS = 8


def flag(found: Findings) -> Element | None:
    """What marks a table or figure whose numbers were chosen on test."""
    return element("span", TOO_HIGH, class_="flag") if found.chosen_on_test else None


def scroller(label: str, *children: Element) -> Element:
    """A box that scrolls sideways where the page is too narrow, with the keyboard as well."""
    return element("div", children, class_="scroller", tabindex=0, role="region", aria_label=label)


def named(name: str, scope: str) -> Element:
    """The heading of a row or column that is a class."""
    long = any(len(word) > LONG_WORD for word in name.split())
    return element("th", element("span", name), scope=scope, class_="long" if long else None)


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


def per_class(found: Findings) -> Element:
    """Recall of each class with its interval, precision and F1."""
    heads = ("class", "recall", "", f"{found.confidence:.0%} interval", "precision", "F1", "images")
    head = [
        element("th", text or element("span", "bar", class_="unseen"), scope="col",
                class_=None if text in ("class", "") else "number")
        for text in heads
    ]  # fmt: skip
    table = element(
        "table",
        element(
            "caption",
            element(
                "span",
                "Recall: the share of a class's images that were found. Precision: the share of "
                "the images given that name that show it. ",
                flag(found),
            ),
        ),
        element("thead", element("tr", head)),
        element("tbody", [_class_row(row) for row in found.per_class]),
        class_="scores",
    )
    return scroller("Recall, precision and F1 of each class", table)


def _class_row(row: Mapping[str, object]) -> Element:
    recall, low, high, precision, f1 = (
        float(row[name]) for name in ("recall", "recall_low", "recall_high", "precision", "f1")
    )
    name, support = str(row["class"]), int(row["support"])
    if not support:
        return element(
            "tr",
            named(name, "row"),
            element("td", "no images in test", colspan=5, class_="quiet"),
            element("td", "0", class_="number"),
        )
    interval = f"{low:.1%} to {high:.1%}"
    bar = charts.interval_bar(
        recall, low, high, f"recall of {name}: {percent(recall)}, interval {interval}"
    )
    return element(
        "tr",
        named(name, "row"),
        element("td", percent(recall), class_="number strong"),
        element("td", bar, class_="barred"),
        element("td", interval, class_="number quiet"),
        element("td", percent(precision), class_="number"),
        element("td", f"{f1:.3f}", class_="number"),
        element("td", f"{support:,}", class_="number"),
    )


def beside(found: Findings) -> Element:
    """Accuracy of the network and of simpler classifiers, with intervals."""
    rows = []
    for row in found.beside:
        accuracy, low, high = (
            float(row[name]) for name in ("accuracy", "accuracy_low", "accuracy_high")
        )
        interval = f"{low:.1%} to {high:.1%}"
        told = f"accuracy of {row['classifier']}: {percent(accuracy)}, interval {interval}"
        rows.append(
            element(
                "tr",
                element("th", str(row["classifier"]), scope="row"),
                element("td", percent(accuracy), class_="number strong"),
                element("td", charts.interval_bar(accuracy, low, high, told), class_="barred"),
                element("td", interval, class_="number quiet"),
                element("td", f"{float(row['macro_f1']):.3f}", class_="number"),
            )
        )
    heads = ("classifier", "accuracy", "", f"{found.confidence:.0%} interval", "macro-F1")
    head = [
        element("th", text or element("span", "bar", class_="unseen"), scope="col",
                class_=None if text in ("classifier", "") else "number")
        for text in heads
    ]  # fmt: skip
    table = element(
        "table",
        element("caption", element("span", "Accuracy on test. ", flag(found))),
        element("thead", element("tr", head)),
        element("tbody", rows),
        class_="scores",
    )
    return scroller("The network beside simpler classifiers", table)


def closest_pairs(found: Findings) -> Element:
    """The held-out images that are most like a training image."""
    rows = [
        (row["path"], row["closest_path"], row["similarity"], row["shared"])
        for row in found.closest_pairs[:PAIRS]
    ]
    head = ("held-out image", "most like it in training", "similarity", "names say they share")
    body = [
        element(
            "tr",
            element("th", path, scope="row"),
            element("td", closest),
            element("td", similarity, class_="number"),
            element("td", shared),
        )
        for path, closest, similarity, shared in rows
    ]
    heads = [
        element("th", text, scope="col", class_="number" if text == "similarity" else None)
        for text in head
    ]
    table = element(
        "table",
        element(
            "caption", element("span", "The closest pairs, by the correlation of their pixels.")
        ),
        element("thead", element("tr", heads)),
        element("tbody", body),
        class_="scores pairs",
    )
    return scroller("The closest pairs of held-out and training images", table)


def simple_table(
    caption: str, head: tuple[str, ...], rows: list[tuple[str, ...]], found: Findings
) -> Element:
    """A small table of numbers under a caption that says how they were chosen."""
    heads = [
        element("th", text or element("span", "what", class_="unseen"), scope="col",
                class_="number" if text else None)
        for text in head
    ]  # fmt: skip
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            [element("td", number, class_="number") for number in numbers],
        )
        for name, *numbers in rows
    ]
    return element(
        "table",
        element("caption", f"{caption} ", flag(found)),
        element("thead", element("tr", heads)),
        element("tbody", body),
        class_="scores narrow",
    )
