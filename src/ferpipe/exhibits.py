"""The tables and charts of the report, each from the findings alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ferpipe import charts
from ferpipe.calibration import Calibration
from ferpipe.charts import PERCENT_TICKS, Axes, Line
from ferpipe.findings import Findings
from ferpipe.markup import Element, element, picture
from ferpipe.one_vs_rest import Curves
from ferpipe.wording import TOO_HIGH, percent

# More classes, or longer names, and the names over the confusion matrix stand upright.
FLAT_CLASSES, FLAT_LETTERS = 8, 10
SMALL = {"width": 132, "height": 112}
ORANGE = (255, 110, 0)


def flag(found: Findings) -> Element | None:
    """What marks a table or figure whose numbers were chosen on test."""
    return element("span", TOO_HIGH, class_="flag") if found.chosen_on_test else None


def scroller(label: str, *children: Element) -> Element:
    """A box that scrolls sideways where the page is too narrow, with the keyboard as well."""
    return element("div", children, class_="scroller", tabindex=0, role="region", aria_label=label)


def key(*entries: tuple[str, str]) -> Element:
    """A legend: pairs of look and meaning."""
    return element(
        "p",
        [
            element("span", element("i", class_=f"swatch {look}", aria_hidden="true"), text)
            for look, text in entries
        ],
        class_="key",
    )


def confusion(found: Findings) -> Element:
    """Counts and shares of each actual class, as a table that colours itself."""
    upright = len(found.classes) > FLAT_CLASSES or max(map(len, found.classes)) > FLAT_LETTERS
    totals = found.confusion.sum(axis=1)
    head = element(
        "tr",
        element("th", "actual \\ predicted", scope="col", class_="corner"),
        [element("th", element("span", name), scope="col") for name in found.classes],
        element("th", element("span", "images"), scope="col", class_="total"),
    )
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
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
            "Rows: what an image shows. Columns: what it was taken for. Shares are of the row. ",
            flag(found),
        ),
        element("thead", head),
        element("tbody", body),
        class_=f"confusion{' upright' if upright else ''}",
    )
    return scroller("Confusion matrix", table)


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
            "Recall: the share of a class's images that were found. Precision: the share of the "
            "images given that name that show it. ",
            flag(found),
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
            element("th", name, scope="row"),
            element("td", "no images in test", colspan=5, class_="quiet"),
            element("td", "0", class_="number"),
        )
    interval = f"{low:.1%} to {high:.1%}"
    bar = charts.interval_bar(
        recall, low, high, f"recall of {name}: {percent(recall)}, interval {interval}"
    )
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", percent(recall), class_="number strong"),
        element("td", bar, class_="barred"),
        element("td", interval, class_="number quiet"),
        element("td", percent(precision), class_="number"),
        element("td", f"{f1:.3f}", class_="number"),
        element("td", f"{support:,}", class_="number"),
    )


def curves(found: Findings) -> list[Element]:
    """Accuracy and loss over the epochs, train and the split that chose."""
    chooser = "test" if found.chosen_on_test else "val"
    best = int(found.training["best_epoch"])
    rows = found.history
    if len(rows) == 1:
        (row,) = rows
        numbers = [
            (name, float(row[f"{prefix}accuracy"]), float(row[f"{prefix}loss"]))
            for name, prefix in (("train", ""), (chooser, "val_"))
        ]
        table = element(
            "table",
            element("caption", "One fit, no epochs to draw. ", flag(found)),
            element("thead", element("tr", [
                element("th", text, scope="col", class_="number" if text else None)
                for text in ("", "accuracy", "log loss")
            ])),
            element("tbody", [
                element("tr", element("th", name, scope="row"),
                        element("td", percent(accuracy), class_="number"),
                        element("td", f"{loss:.3f}", class_="number"))
                for name, accuracy, loss in numbers
            ]),
            class_="scores narrow",
        )  # fmt: skip
        return [table]
    epochs = charts.whole_ticks(int(rows[0]["epoch"]), int(rows[-1]["epoch"]))
    losses = [float(row[name]) for row in rows for name in ("loss", "val_loss")]
    highest = max((value for value in losses if np.isfinite(value)), default=1.0)
    panels = [
        _measure(found, "accuracy", Axes(epochs, PERCENT_TICKS, x_label="epoch"), chooser, best),
        _measure(
            found, "loss", Axes(epochs, charts.round_ticks(highest), x_label="epoch"), chooser, best
        ),
    ]
    entries = (("first", chooser), ("second dashed", "train"), ("chosen", f"epoch {best}, kept"))
    return [key(*entries), element("div", panels, class_="panels")]


def _measure(found: Findings, measure: str, axes: Axes, chooser: str, best: int) -> Element:
    def points(prefix: str) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), float(row[f"{prefix}{measure}"])) for row in found.history]

    lines = [Line(points(""), "second dashed"), Line(points("val_"), "first", dots=True)]
    low, high = axes.y[0][0], axes.y[-1][0]
    marks = [charts.segment(axes, (best, low), (best, high), "chosen")]
    value = float(found.history[best - 1][f"val_{measure}"])
    told = percent(value) if measure == "accuracy" else f"{value:.3f}"
    described = (
        f"{measure} over {len(found.history)} epochs on train and {chooser}; at epoch {best}, "
        f"which was kept, {told} on {chooser}"
    )
    return element(
        "figure",
        element("figcaption", element("b", measure), " ", flag(found)),
        charts.panel(axes, lines, described, marks),
    )


def reliability(found: Findings) -> list[Element]:
    """Accuracy against confidence, with how many images there are, and the numbers."""
    last = found.calibration[-1]
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, 300, 260, "confidence")
    marks = [charts.segment(axes, (0, 0), (1, 1), "guess")]
    lines = []
    if len(found.calibration) > 1:
        before = [(row.confidence, row.accuracy) for row in found.calibration[0].bins]
        lines.append(Line(before, "second dashed"))
    for row in last.bins:
        ends = ((row.confidence, row.accuracy_low), (row.confidence, row.accuracy_high))
        marks.append(charts.segment(axes, *ends, "reach"))
    lines.append(Line([(row.confidence, row.accuracy) for row in last.bins], "first", dots=True))
    described = (
        f"Accuracy against confidence in {len(last.bins)} bins; expected calibration error "
        f"{last.error:.3f}"
    )
    most = max(row.images for row in last.bins)
    counts = Axes(PERCENT_TICKS, charts.round_ticks(most), 300, 90, "confidence")
    boxes = [charts.box(counts, row.low, row.high, row.images, "count") for row in last.bins]
    how_many = f"Images in each bin of confidence; most, {most:,}, in one"
    figures = [
        element("figure", element("figcaption", element("b", "accuracy"), " ", flag(found)),
                charts.panel(axes, lines, described, marks)),
        element("div",
                element("figure", element("figcaption", element("b", "images"), " ", flag(found)),
                        charts.panel(counts, [], how_many, boxes)),
                _calibration_table(found)),
    ]  # fmt: skip
    entries = [("first", "as the model is"), ("guess", "perfect: as sure as right")]
    if len(found.calibration) > 1:
        entries.insert(1, ("second dashed", "without its temperature"))
    return [key(*entries), element("div", figures, class_="panels")]


def _calibration_table(found: Findings) -> Element:
    def row(name: str, each: Calibration) -> Element:
        numbers = (f"{each.temperature:.2f}", f"{each.error:.3f}", f"{each.log_loss:.3f}")
        cells = [element("td", number, class_="number") for number in numbers]
        return element("tr", element("th", name, scope="row"), cells)

    names = ("before", "after") if len(found.calibration) > 1 else ("model",)
    head = [
        element("th", text, scope="col", class_="number" if text else None)
        for text in ("", "temperature", "ECE", "log loss")
    ]
    return element(
        "table",
        element("caption", "Lower is better. ", flag(found)),
        element("thead", element("tr", head)),
        element("tbody", list(map(row, names, found.calibration))),
        class_="scores narrow",
    )


def rocs(found: Findings) -> Element:
    """A small ROC panel for each class."""
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, **SMALL, x_label="false positive rate")

    def drawn(each: Curves) -> Element:
        marks = [charts.segment(axes, (0, 0), (1, 1), "guess")]
        described = f"ROC curve of {each.name}, area {each.auc:.3f}"
        return charts.panel(axes, [Line(each.roc.tolist(), "first")], described, marks)

    return _multiples([(each, each.auc, "AUC", drawn) for each in found.curves], found)


def precision_recalls(found: Findings) -> Element:
    """A small precision-recall panel for each class."""
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, **SMALL, x_label="recall")

    def drawn(each: Curves) -> Element:
        share = each.images / len(found.labels)
        marks = [charts.segment(axes, (0, share), (1, share), "guess")]
        described = (
            f"Precision-recall curve of {each.name}, average precision {each.average_precision:.3f}"
        )
        return charts.panel(axes, [Line(_steps(each), "first")], described, marks)

    return _multiples([(each, each.average_precision, "AP", drawn) for each in found.curves], found)


def _steps(each: Curves) -> list[tuple[float, float]]:
    """Precision holds from one recall back to the one before, as its average counts it."""
    points = each.precision_recall.tolist()
    corners = [(before[0], after[1]) for before, after in itertools.pairwise(points)]
    return [points[0], *(point for pair in zip(corners, points[1:], strict=True) for point in pair)]


def _multiples(entries: Sequence[tuple], found: Findings) -> Element:
    cards = []
    for each, area, short, drawn in entries:
        told = f"{short} {area:.3f}" if area is not None else "no images in test"
        caption = element("figcaption", element("b", each.name), " ", told, " ", flag(found))
        cards.append(element("figure", caption, drawn(each) if area is not None else None))
    return element("div", cards, class_="multiples")


def mistakes(found: Findings, most: int) -> Element | None:
    """The surest mistakes with their images, at most so many; None without any."""
    cards = []
    for number in found.mistakes[:most]:
        actual, taken, sure = _told(found, int(number))
        description = f"A face that shows {actual} and was taken for {taken}"
        cards.append(
            element(
                "figure",
                picture(found.images[number], description),
                element(
                    "figcaption",
                    element("b", actual), " taken for ", element("b", taken),
                    element("span", f"{percent(sure)} sure", class_="line"),
                    element("span", found.paths[number], class_="line path"),
                ),
            )
        )  # fmt: skip
    return element("div", cards, class_="faces") if cards else None


def _told(found: Findings, number: int) -> tuple[str, str, float]:
    """Actual class, predicted class and confidence of an image."""
    taken = int(found.predicted[number])
    sure = float(found.probabilities[number, taken])
    return found.classes[found.labels[number]], found.classes[taken], sure


def heat(
    found: Findings, numbers: Sequence[int], heat_maps: Mapping[tuple[int, int], np.ndarray]
) -> Element:
    """Faces beside where the network looked for the class that it named and, if wrong, the true.

    Args:
        found: the findings.
        numbers: of the test images.
        heat_maps: (number of the image, class) -> uint8 (side, side).
    """
    cards = []
    for number in numbers:
        actual, taken, sure = _told(found, int(number))
        shown = [picture(found.images[number], f"A face that shows {actual}")]
        for label in dict.fromkeys((int(found.predicted[number]), int(found.labels[number]))):
            name = found.classes[label]
            overlay = _overlaid(found.images[number], heat_maps[int(number), label])
            shown.append(picture(overlay, f"The same face: what speaks for {name} is orange"))
        words = (
            [element("b", actual), f", {percent(sure)} sure"]
            if actual == taken
            else [f"the face; what spoke for {taken}, which it named; what spoke for {actual}, "
                  "which it shows"]
        )  # fmt: skip
        cards.append(
            element("figure", element("div", shown, class_="strip"), element("figcaption", words))
        )
    return element("div", cards, class_="heat")


def _overlaid(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image in gray or colour with orange laid over it, the hotter the thicker."""
    base = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.int32)
    share = heat[:, :, None].astype(np.int32)
    return ((base * (340 - share) + np.array(ORANGE) * share) // 340).astype(np.uint8)
