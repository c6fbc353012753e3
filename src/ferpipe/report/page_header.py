"""The head of the report: accuracy with its interval on a scale, and the numbers beside it."""

from __future__ import annotations

from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element
from ferpipe.report.page_tables import flag
from ferpipe.report.text import percent


def header(found: Findings) -> Element:
    """The headline, with what a guess would reach on the same scale."""
    numbers = found.numbers
    accuracy, low, high = (
        float(numbers[name]) for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    supports = [int(row["support"]) for row in found.per_class]
    commonest = max(supports) / sum(supports)
    described = (
        f"On a scale from 0 to 100%: accuracy {percent(accuracy)}, interval {low:.1%} to "
        f"{high:.1%}; naming the most frequent class always would give {commonest:.1%}"
    )
    scale = element(
        "div",
        element("div", class_="band", style=f"left:{low:.2%};width:{high - low:.2%}"),
        element("div", class_="point", style=f"left:{accuracy:.2%}"),
        element("div", class_="chance", style=f"left:{commonest:.2%}"),
        class_="scale",
        role="img",
        aria_label=described,
    )
    ends = element(
        "p",
        element("span", "0"),
        element("span", "100%"),
        element("span", f"always the commonest class: {commonest:.0%}",
                style=f"{'left' if commonest < 0.5 else 'right'}:"
                f"{min(commonest, 1 - commonest):.2%}", class_="under"),
        class_="ends",
        aria_hidden="true",
    )  # fmt: skip
    tiles = [
        ("balanced accuracy", percent(float(numbers["balanced_accuracy"]))),
        ("macro-F1", f"{numbers['macro_f1']:.3f}"),
        ("log loss", f"{numbers['log_loss']:.3f}"),
        ("calibration error", f"{numbers['ece']:.3f}"),
        ("test images", f"{numbers['images']:,}"),
    ]
    data = found.provenance.data.name
    network = found.provenance.params["train"]["backbone"]
    return element(
        "header",
        element("p", f"Test report: {network} on {data}", class_="eyebrow"),
        element("h1", element("strong", percent(accuracy)), f" of {numbers['images']:,} test "
                "images right"),
        element("p", f"{found.confidence:.0%} interval {found.interval}. ",
                flag(found), class_="lead"),
        scale,
        ends,
        element("dl", [
            element("div", element("dt", name), element("dd", value)) for name, value in tiles
        ], class_="tiles"),
    )  # fmt: skip
