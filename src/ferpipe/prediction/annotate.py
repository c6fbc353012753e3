"""Pictures with numbered boxes around faces, and below a panel for each face."""

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
LINES = 60  # that are as high as a picture


def annotated(
    picture: Image.Image,
    predictions: Sequence[Prediction],
    classes: Sequence[str],
    rows: int | None = None,
) -> Image.Image:
    """The picture with a numbered box around each face, and the panels below it.

    Panels never cover a face. With `rows` rows of them, pictures of one size give results of one
    size, as videos need, and faces for which there is no place have a number alone.
    """
    unit = max(10, round(max(picture.size) / LINES))  # height of a line
    width, height = _panel_size(unit)
    across = max(1, picture.width // width)
    needed = -(-len(predictions) // across)
    shown = needed if rows is None else rows
    size = (max(picture.width, width), picture.height + shown * height)
    result = Image.new("RGB", size, BACKGROUND)
    result.paste(picture, (0, 0))
    pen = ImageDraw.Draw(result)
    for number, prediction in enumerate(predictions, start=1):
        if prediction.face:
            _draw_box(pen, prediction.face.box, number, unit)
        row, column = divmod(number - 1, across)
        if row < shown:
            panel = _panel(prediction, number, classes, unit)
            result.paste(panel, (column * width, picture.height + row * height))
    return result


def explained(prediction: Prediction, heat: np.ndarray) -> Image.Image:
    """The face as the network saw it, beside it where it looked; `heat` from `gradcam`."""
    image = prediction.image
    pair = np.hstack([np.broadcast_to(image, (*image.shape[:2], 3)), overlay(image, heat)])
    zoom = max(1, EXPLAINED // image.shape[0])
    return Image.fromarray(pair.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _draw_box(pen: ImageDraw.ImageDraw, box: Sequence[float], number: int, unit: int) -> None:
    """A box with a dark border, and its number in the left upper corner."""
    thick = max(1, unit // 6)
    left, top, right, bottom = box
    outer = (left - 2 * thick, top - 2 * thick, right + 2 * thick, bottom + 2 * thick)
    inner = (left - thick, top - thick, right + thick, bottom + thick)
    pen.rectangle(outer, outline=BACKGROUND, width=3 * thick)
    pen.rectangle(inner, outline=BAR, width=thick)
    font = ImageFont.load_default(1.2 * unit)
    place = (max(0, left) + thick, max(0, top) + thick)
    pen.text(place, str(number), INK, font, stroke_width=thick, stroke_fill=BACKGROUND)


def _panel_size(unit: int) -> tuple[int, int]:
    return 14 * unit, (2 * SHOWN + 3) * unit


def _panel(prediction: Prediction, number: int, classes: Sequence[str], unit: int) -> Image.Image:
    """Number and label, and the most probable classes with their bars."""
    width, height = _panel_size(unit)
    panel = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(panel)
    font = ImageFont.load_default(1.2 * unit)
    pen.text((unit / 2, unit * 1.2), f"{number} {prediction.label}", INK, font, anchor="lm")
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
