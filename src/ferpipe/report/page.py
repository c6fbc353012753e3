"""The report: one HTML file that holds all it shows and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ferpipe.report import charts, page_charts, page_confusion, page_faces, page_header, page_tables
from ferpipe.report.findings import HITS, MISTAKES, Findings
from ferpipe.report.markup import Child, Element, document, element
from ferpipe.report.text import MISUSE, audit, limits, protocol, summary

CSS = Path(__file__).with_suffix(".css")
# Mistakes that are shown with what spoke for both classes.
EXPLAINED = 6


def looked_at(found: Findings) -> list[tuple[int, int]]:
    """The (number of a test image, class) pairs that the page shows a heat map of."""
    predicted = found.predicted
    pairs = [(int(number), int(predicted[number])) for number in found.hits[:HITS]]
    for number in found.mistakes[:EXPLAINED]:
        pairs += [(int(number), int(predicted[number])), (int(number), int(found.labels[number]))]
    return pairs


def page(found: Findings, heat_maps: Mapping[tuple[int, int], np.ndarray]) -> str:
    """Write the report.

    Args:
        found: what the model did and is.
        heat_maps: uint8 (side, side) for each pair of `looked_at`.

    Returns:
        HTML, the same for the same findings.
    """
    sections = [
        ("trust", "Protocol and leak audit", _trust(found)),
        ("baselines", "Baselines", _baselines(found)),
        ("confusion", "Confusion matrix", page_confusion.confusion(found)),
        ("classes", "Per class", page_tables.per_class(found)),
        ("training", "Training curves", _training(found)),
        ("calibration", "Calibration", _calibration(found)),
        ("thresholds", "ROC and precision-recall", _thresholds(found)),
        ("mistakes", "Most confident mistakes", _mistakes(found)),
        ("heat", "Grad-CAM: where it looked", _heat(found, heat_maps)),
        ("limits", "Limits", _limits(found)),
        ("run", "What was run", _run(found)),
    ]
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    root = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"ferpipe: {found.headline}"),
            element("style", CSS.read_text(encoding="utf-8") + charts.tint_styles()),
        ),
        element(
            "body",
            page_header.header(found),
            element("nav", element("ul", links), aria_label="Sections"),
            element(
                "main",
                [
                    element("section", element("h2", title, id=name), body, aria_labelledby=name)
                    for name, title, body in sections
                ],
            ),
        ),
        lang="en",
    )
    return document(root)


def _trust(found: Findings) -> Child:
    checks = [
        element(
            "li",
            element("span", "doubt: " if each.doubt else "good: ", class_="unseen"),
            each.text,
            class_="doubt" if each.doubt else "good",
        )
        for each in audit(found.split)
    ]
    if found.selected_on_test:
        warning = "Test has chosen as well as tested: every metric here is optimistic."
        checks.insert(0, element("li", warning, class_="doubt"))
    columns = element(
        "div",
        element("div", element("h3", "Protocol"), _sentences(protocol(found))),
        element("div", element("h3", "Leak audit"), element("ul", checks, class_="checks")),
        class_="columns",
    )
    return [columns, page_tables.closest_pairs(found)]


def _baselines(found: Findings) -> Child:
    lead = (
        "On the same test images, fitted on train and val. A network that does not beat these has "
        "not earned its cost."
    )
    tests = [element("li", sentence) for sentence in found.comparisons]
    return [
        element("p", lead),
        page_tables.baselines(found),
        element("ul", tests, class_="plain tests"),
    ]


def _sentences(texts: Sequence[str]) -> list[Element]:
    return [element("p", text) for text in texts]


def _training(found: Findings) -> Child:
    kept, of = found.training["best_epoch"], found.training["epochs"]
    chooser = "test" if found.selected_on_test else "val"
    lead = f"Epoch {kept} of {of} was kept, chosen on {chooser}."
    if len(found.history) == 1 and found.provenance.params["train"]["head"] == "solved":
        lead = f"The head was solved at once; {chooser} chose how sure it says it is."
    return [element("p", lead), page_charts.training(found)]


def _calibration(found: Findings) -> Child:
    lead = (
        "Of the images that it is 80% sure of, 80% should be right. Points over the diagonal: "
        "surer than it says; under it: not as sure. Lines are intervals; bins with few images have "
        "long ones. ECE: expected calibration error in 15 bins of equal width (Guo et al. 2017)."
    )
    return [element("p", lead), *page_charts.reliability(found)]


def _thresholds(found: Findings) -> Child:
    lead = (
        "Each class against all others: what is found and what is falsely named as the threshold "
        "on its probability falls. Dotted: what guessing gives."
    )
    return [
        element("p", lead),
        element("h3", "ROC: true over false positive rate"),
        page_charts.rocs(found),
        element("h3", "Precision over recall"),
        page_charts.precision_recalls(found),
    ]


def _mistakes(found: Findings) -> Child:
    if not len(found.mistakes):
        return element("p", "There are none: every test image was right. ", page_tables.flag(found))
    shown = min(MISTAKES, len(found.mistakes))
    lead = f"{shown} of {len(found.mistakes)} mistakes, the most confident first. "
    mixed = summary(found)[-1]
    return [
        element("p", lead, f"{mixed[0].upper()}{mixed[1:]}. ", page_tables.flag(found)),
        page_faces.mistakes(found, MISTAKES),
    ]


def _heat(found: Findings, heat_maps: Mapping[tuple[int, int], np.ndarray]) -> Child:
    solved = found.provenance.params["train"]["head"] == "solved"
    left_out = (
        " The head also sees gradients and maybe finer features, which these pictures leave out."
        if solved
        else ""
    )
    parts: list[Child] = [
        element(
            "p",
            "Orange is where the backbone's last feature map speaks for a class, each picture "
            "scaled to its own hottest place; gradients keep their places (Draelos & Carin 2020)."
            f"{left_out} It shows what counted, not why.",
        ),
        element("h3", "The most confident hit of each class"),
        page_faces.heat(found, found.hits[:HITS], heat_maps),
    ]
    if len(found.mistakes):
        parts += [
            element("h3", "The most confident mistakes"),
            page_faces.heat(found, found.mistakes[:EXPLAINED], heat_maps),
        ]
    return parts


def _limits(found: Findings) -> Child:
    return element(
        "div",
        element("div", element("h3", "What the numbers do not say"), _sentences(limits(found))),
        element("div", element("h3", "What it must not be used for"), _sentences(MISUSE)),
        class_="columns",
    )


def _run(found: Findings) -> Child:
    made = found.provenance
    used = [element("p", made.data.description), element("p", made.data.terms)]
    # The longest last, so that two columns come out alike.
    sections = sorted(made.params.items(), key=lambda section: section[0] == "train")
    tables = [_facts("package versions", made.versions)] + [
        _facts(f"params: {name}", {key: _yaml(value) for key, value in values.items()})
        for name, values in sections
    ]
    digests = element("div", _facts("SHA-256", made.digests), class_="digests")
    return [used, digests, element("div", tables, class_="facts")]


def _facts(title: str, values: Mapping[str, str]) -> Element:
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in values.items()
    ]
    return element("table", element("caption", title), element("tbody", rows))


def _yaml(value: object) -> str:
    """A value as params.yaml has it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
