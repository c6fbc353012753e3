"""The report: one HTML file that contains everything it shows and requests nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from ferpipe.evaluation import baselines, intervals
from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.report import faces, style, text
from ferpipe.report.findings import Findings

TEMPLATES = Path(__file__).with_name("templates")
# Numbers of faces, pairs of confused classes and pairs of similar images that are shown.
HITS, MISTAKES, EXPLAINED, CONFUSIONS, PAIRS = 14, 12, 6, 6, 8
# With more classes or longer names the column heads of the confusion matrix are upright.
FLAT_CLASSES, FLAT_LETTERS = 8, 10
# Background and hues of correct and confused cells, light and dark: blue and vermilion of Okabe and
# Ito, 2008, the blue darker so that white letters are readable on it.
CELL_COLOURS = {
    "light": ((255, 255, 255), (0, 92, 150), (213, 94, 0)),
    "dark": ((22, 27, 36), (86, 180, 233), (240, 150, 70)),
}


def explained(findings: Findings) -> list[tuple[int, int]]:
    """The (index of a test image, class) pairs that the page shows a heat map of."""
    result = findings.result
    pairs = [(int(image), int(result.predicted[image])) for image in findings.hits[:HITS]]
    for image in map(int, findings.mistakes[:EXPLAINED]):
        pairs += [(image, int(result.predicted[image])), (image, int(result.labels[image]))]
    return pairs


def page(
    findings: Findings,
    figures: Mapping[str, Figure],
    heat_maps: Mapping[tuple[int, int], np.ndarray],
) -> str:
    """Write the report as HTML; the same findings give the same text.

    Args:
        findings: what it shows.
        figures: as `figures.draw` gives them; they are changed.
        heat_maps: uint8 (side, side) for each pair of `explained`.
    """
    result = findings.result
    upright = len(result.classes) > FLAT_CLASSES or max(map(len, result.classes)) > FLAT_LETTERS
    sections = findings.provenance.params.items()
    return environment(html=True).get_template("report.html").render(
        f=findings,
        result=result,
        metrics=findings.metrics,
        provenance=findings.provenance,
        upright=upright,
        note=note,
        figure=lambda name: style.panels_as_svg(figures[name], name),
        hits=[_face(findings, image) for image in findings.hits[:HITS]],
        mistakes=[_face(findings, image) for image in findings.mistakes[:MISTAKES]],
        heat_maps=heat_maps,
        corrupted=_corrupted(findings),
        # The longest last, so that two columns come out alike.
        params=sorted(sections, key=lambda section: section[0] == "train"),
        confusions=findings.confusions.head(CONFUSIONS).to_dict("records"),
        EXPLAINED=EXPLAINED, PAIRS=PAIRS,
    )  # fmt: skip


def environment(
    *, html: bool, mask: Callable[[str], str] | None = None, templates: Path = TEMPLATES
) -> jinja2.Environment:
    """Templates that escape every value, for HTML or, after control characters, by `mask`."""

    def printable_text(value: object) -> object:
        if not isinstance(value, str) or hasattr(value, "__html__"):
            return value
        return mask(printable(value)) if mask else printable(value)

    result = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        finalize=printable_text,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    result.filters |= {
        "percent": text.percent, "listed": text.listed, "count": count, "yaml": yaml,
        "data_uri": faces.data_uri, "cell_style": cell_style, "rows": rows,
        "svg": svg, "zip": zip,
        "capitalised": lambda sentence: sentence[:1].upper() + sentence[1:],
    }  # fmt: skip
    result.globals |= {
        "audit": text.audit, "protocol": text.protocol, "limits": text.limits,
        "left_out": text.left_out,
        "most_confused": text.most_confused, "worst_corruption": text.worst_corruption,
        "strength": text.strength, "comparison": baselines.comparison, "overlay": faces.overlay,
        "MISUSE": text.MISUSE, "OPTIMISTIC": text.OPTIMISTIC,
    }  # fmt: skip
    return result


def printable(value: str) -> str:
    """Escape what no page may contain, such as control characters in the name of a class."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in value
    )


def rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a table, with None for missing values."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def count(value: int | None) -> str:
    """Format an integer; nothing if it is not known."""
    return "" if value is None else f"{value:,}"


def note(table: pd.DataFrame) -> str:
    """The methods of the intervals of a table; classes without images have none."""
    shown = table[table["support"] > 0] if "support" in table else table
    return intervals.note(list(zip(shown["interval"], shown["people"], strict=True)))


def svg(drawing: str, alt: str) -> Markup:
    """A drawing of `style.panels_as_svg` with its alternative text."""
    label = escape(printable(alt))
    return Markup(drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def yaml(value: object) -> str:
    """Format a value as in params.yaml."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def cell_style(fraction: float, *, right: bool) -> str:
    """CSS variables of a cell of the confusion matrix: background and text, light and dark."""
    variables = []
    for scheme, (paper, *hues) in CELL_COLOURS.items():
        strength = 0.1 + 0.9 * fraction  # the weakest cell is visible too
        colour = np.rint(np.add(np.multiply(paper, 1 - strength),
                                np.multiply(hues[not right], strength)))  # fmt: skip
        channels = "".join(f"{int(channel):02x}" for channel in colour)
        variables.append(f"--{scheme}:#{channels};--on-{scheme}:{style.readable_on(colour / 255)}")
    return ";".join(variables)


def _face(findings: Findings, image: int) -> dict[str, object]:
    """A test image with its classes and its confidence."""
    result = findings.result
    predicted = int(result.predicted[image])
    return {
        "index": int(image),
        "pixels": findings.images[image],
        "file": result.paths[image].rpartition("/")[2],
        "wrong": predicted != result.labels[image],
        "actual": result.classes[result.labels[image]],
        "predicted": result.classes[predicted],
        "confidence": float(result.probabilities[image, predicted]),
        "shown": dict.fromkeys((predicted, int(result.labels[image]))),
    }


def _corrupted(findings: Findings) -> dict[str, list[np.ndarray]]:
    """The most confident correct image (or the first) at each strength of each corruption."""
    image = findings.images[[*findings.hits[:1], 0][:1]]
    return {each.name: [each.apply(image, s)[0] for s in each.strengths] for each in CORRUPTIONS}
