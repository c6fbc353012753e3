"""The head of the report: accuracy with its interval on a scale, and the other metrics."""

from __future__ import annotations

from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element
from ferpipe.report.page_tables import flag
from ferpipe.report.text import percent


def header(found: Findings) -> Element:
    """The headline, with the accuracy of the majority class on the same scale."""
    metrics = found.metrics
    accuracy, low, high = (
        float(metrics[name]) for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    majority = found.majority_accuracy
    described = (
        f"On a scale from 0 to 100%: accuracy {percent(accuracy)}, interval {low:.1%} to "
        f"{high:.1%}; the majority class of train and val would give {majority:.1%}"
    )
    scale = element(
        "div",
        element("div", class_="band", style=f"left:{low:.2%};width:{high - low:.2%}"),
        element("div", class_="point", style=f"left:{accuracy:.2%}"),
        element("div", class_="chance", style=f"left:{majority:.2%}"),
        class_="scale",
        role="img",
        aria_label=described,
    )
    ends = element(
        "p",
        element("span", "0"),
        element("span", "100%"),
        element("span", f"majority class: {majority:.0%}",
                style=f"{'left' if majority < 0.5 else 'right'}:"
                f"{min(majority, 1 - majority):.2%}", class_="under"),
        class_="ends",
        aria_hidden="true",
    )  # fmt: skip
    tiles = [
        ("balanced accuracy", percent(float(metrics["balanced_accuracy"]))),
        ("macro-F1", f"{metrics['macro_f1']:.3f}"),
        ("log loss", f"{metrics['log_loss']:.3f}"),
        ("calibration error", f"{metrics['ece']:.3f}"),
        ("test images", f"{metrics['images']:,}"),
    ]
    data = found.provenance.data.name
    network = found.provenance.params["train"]["backbone"]
    return element(
        "header",
        element("p", f"Test report: {network} on {data}", class_="eyebrow"),
        element("h1", element("strong", percent(accuracy)), f" of {metrics['images']:,} test "
                "images right"),
        element("p", f"{found.confidence:.0%} interval {found.interval}. ",
                flag(found), class_="lead"),
        scale,
        ends,
        element("dl", [
            element("div", element("dt", name), element("dd", value)) for name, value in tiles
        ], class_="tiles"),
    )  # fmt: skip
