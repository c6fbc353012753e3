"""Pictures with the faces found in them: boxes, classes and bars of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ferpipe.prediction.predictor import UNFAMILIAR, Prediction
from ferpipe.report.faces import overlay

# Readable on any background: light on dark, as captions of films.
INK, BACKGROUND, BAR, REST = "#ffffff", "#1b1b1b", "#ff9f1c", "#5a5a5a"
SHOWN = 3  # most probable classes of a face
EXPLAINED = 192  # side of a face beside its heat map, in pixels


def annotated(
    picture: Image.Image, predictions: Sequence[Prediction], classes: Sequence[str]
) -> Image.Image:
    """The picture with a box and a panel for each face; of a picture that is a face, below it."""
    unit = max(10, round(max(picture.size) / 60))  # height of a line
    boxes = [prediction.face.box if prediction.face else None for prediction in predictions]
    below = 0 if all(boxes) else _panel_size(unit)[1]
    width = max(picture.width, _panel_size(unit)[0])
    result = Image.new("RGB", (width, picture.height + below), BACKGROUND)
    result.paste(picture, (0, 0))
    pen = ImageDraw.Draw(result)
    for prediction, box in zip(predictions, boxes, strict=True):
        if box:
            for grown, color in ((2, BACKGROUND), (1, BAR), (0, BAR)):
                pen.rectangle(_grown(box, grown * max(1, unit // 10)), outline=color)
        panel = _panel(prediction, classes, unit)
        result.paste(panel, _place(box, panel.size, picture.size))
    return result


def explained(prediction: Prediction, heat: np.ndarray) -> Image.Image:
    """The face as the network saw it, beside it where it looked; `heat` from `gradcam`."""
    image = prediction.image
    pair = np.hstack([np.broadcast_to(image, (*image.shape[:2], 3)), overlay(image, heat)])
    zoom = max(1, EXPLAINED // image.shape[0])
    return Image.fromarray(pair.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _panel_size(unit: int) -> tuple[int, int]:
    return 14 * unit, (2 * SHOWN + 3) * unit


def _panel(prediction: Prediction, classes: Sequence[str], unit: int) -> Image.Image:
    """The label, and the most probable classes with their bars."""
    width, height = _panel_size(unit)
    panel = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(panel)
    font = ImageFont.load_default(1.2 * unit)
    pen.text((unit / 2, unit * 1.2), prediction.label, INK, font, anchor="lm")
    small = ImageFont.load_default(0.9 * unit)
    if prediction.unfamiliar:
        place = (width - unit / 2, unit * 1.2)
        # Over the end of a long label, which stands below again; so all panels have one size.
        pen.rectangle(pen.textbbox(place, UNFAMILIAR, small, anchor="rm"), fill=BACKGROUND)
        pen.text(place, UNFAMILIAR, BAR, small, anchor="rm")
    order = np.argsort(-prediction.probabilities, kind="stable")[:SHOWN]
    for line, index in enumerate(order):
        middle = (3 + 2 * line) * unit
        share = float(prediction.probabilities[index])
        left, right = 6 * unit, 11 * unit
        pen.text((unit / 2, middle), classes[index], INK, small, anchor="lm")
        pen.rectangle((left, middle - unit // 3, right, middle + unit // 3), fill=REST)
        end = left + round(share * (right - left))
        pen.rectangle((left, middle - unit // 3, end, middle + unit // 3), fill=BAR)
        pen.text((right + unit / 2, middle), f"{share:.0%}", INK, small, anchor="lm")
    return panel


def _grown(box: Sequence[float], by: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left - by, top - by, right + by, bottom + by


def _place(
    box: Sequence[float] | None, size: tuple[int, int], picture: tuple[int, int]
) -> tuple[int, int]:
    """Where a panel goes: under its box, above it at the lower edge; inside the picture."""
    if box is None:
        return 0, picture[1]
    left, top, _, bottom = map(round, box)
    under = bottom + size[1] <= picture[1]
    x = min(max(0, left), max(0, picture[0] - size[0]))
    return x, bottom if under else max(0, top - size[1])
