"""Faces in the report: the most confident mistakes, and where the network looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ferpipe.report.findings import Findings
from ferpipe.report.markup import Element, element, picture
from ferpipe.report.text import percent

ORANGE = (255, 110, 0)


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
                    element("span", PurePosixPath(found.paths[number]).name, class_="line path"),
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
    wrong = False
    for number in map(int, numbers):
        actual, taken, sure = _told(found, number)
        shown = [_labelled(found.images[number], f"A face that shows {actual}", "the face")]
        for label in dict.fromkeys((int(found.predicted[number]), int(found.labels[number]))):
            name = found.classes[label]
            overlay = _overlaid(found.images[number], heat_maps[number, label])
            shown.append(
                _labelled(overlay, f"The same face: orange speaks for {name}", f"for {name}")
            )
        words = element("figcaption", element("b", actual), f", {percent(sure)} sure")
        if actual != taken:
            wrong = True
            words = element("figcaption", element("b", actual), " taken for ", element("b", taken))
        cards.append(element("figure", words, element("div", shown, class_="strip")))
    return element("div", cards, class_="heat triples" if wrong else "heat")


def _labelled(pixels: np.ndarray, description: str, label: str) -> Element:
    return element("div", picture(pixels, description), element("small", label, class_="quiet"))


def _overlaid(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image in gray or colour with orange laid over it, the hotter the thicker."""
    base = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.int32)
    share = heat[:, :, None].astype(np.int32)
    return ((base * (340 - share) + np.array(ORANGE) * share) // 340).astype(np.uint8)
