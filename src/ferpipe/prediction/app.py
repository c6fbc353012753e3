"""A page for a person: a picture or the camera in, faces with their probabilities out."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gradio
import numpy as np
from PIL import Image

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation import gradcam
from ferpipe.evaluation.card import Card
from ferpipe.prediction.predictor import UNFAMILIAR, Prediction, Predictor, opened
from ferpipe.report.page import environment
from ferpipe.report.text import MISUSE

TEMPLATES = Path(__file__).with_name("templates")
SHOWN = 1024  # longest side of the picture in the page, in pixels
NO_FACE = (
    "No face found. The detector wants faces that look towards the camera; for a picture that is "
    "a face already, check the box."
)
PRIVACY = (
    "Pictures stay on this machine. The page sends them to the program that serves it, which "
    "deletes them within two minutes and sends nothing to the internet."
)
GONE = "the picture was deleted in the meantime; choose it again"
# Seconds between deletions of pictures, and the age from which one is deleted.
DELETED = (30, 60)


def page(predictor: Predictor) -> gradio.Blocks:
    """The page; what it shows depends only on the picture and the model."""
    with gradio.Blocks(
        title="Facial expressions", analytics_enabled=False, delete_cache=DELETED
    ) as blocks:
        gradio.Markdown("# Facial expressions\nA picture with faces, from a file or the camera.")
        with gradio.Row():
            with gradio.Column(scale=2):
                picture = gradio.Image(
                    sources=["upload", "webcam"], label="Picture", show_label=False, height=320
                )
                # The file as it came: `opened` decides what can be used, and turns it upright.
                picture.preprocess = lambda payload: payload and payload.path
                cropped = gradio.Checkbox(label="The picture is a face, cropped as in training")
                gradio.Markdown(notes(predictor.card), elem_classes="notes")
            with gradio.Column(scale=3):
                result = gradio.HTML("Faces and their probabilities appear here.", label="Faces")
        for changed in (picture.change, cropped.change):
            changed(handler(predictor), [picture, cropped], result, api_visibility="private")
    return blocks


def notes(card: Card) -> str:
    """What the model is worth and must not be used for, as Markdown."""
    lines = [f"**The model.** {card.about} {card.protocol}", f"**Caution.** {MISUSE[2]}"]
    return "\n\n".join([*lines, *MISUSE[:2], MISUSE[3], f"**Privacy.** {PRIVACY}"])


def handler(predictor: Predictor) -> Callable[[str | None, bool], str]:
    """The function behind the page: from a file, and whether it is a face, to HTML."""

    def show(path: str | None, cropped: bool) -> str:
        if path is None:
            return ""
        if not Path(path).exists():
            raise gradio.Error(GONE, print_exception=False)
        try:
            picture = opened(Path(path))
            (faces,) = replace(predictor, cropped=cropped)([picture])
        except PipelineError as error:
            reason = str(error).replace(path, "the picture")
            raise gradio.Error(reason, duration=None, print_exception=False) from None
        return html(picture, faces, predictor)

    return show


def html(picture: Image.Image, faces: list[Prediction], predictor: Predictor) -> str:
    """The picture with numbered boxes, and each face with its bars and its heat map."""
    heat_maps: Sequence[np.ndarray | None] = [None] * len(faces)
    if faces and predictor.model:  # an exported file gives no heat maps
        seen = np.stack([face.image for face in faces])
        heat_maps = gradcam.heat_maps(
            predictor.model, seen, np.array([face.index for face in faces])
        )
    template = environment(html=True, templates=TEMPLATES).get_template("faces.html")
    return template.render(
        picture=None if faces and faces[0].face is None else _reduced(picture),
        faces=[
            _values(face, heat, predictor.card.classes)
            for face, heat in zip(faces, heat_maps, strict=True)
        ],
        nothing=NO_FACE,
        unfamiliar=UNFAMILIAR,
    )


def _values(face: Prediction, heat: np.ndarray | None, classes: list[str]) -> dict[str, object]:
    order = np.argsort(-face.probabilities, kind="stable")
    box = None
    if face.face:
        left, top, right, bottom = (round(side, 1) for side in face.face.box)
        box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {
        "label": face.label,
        "box": box,
        "pixels": face.image,
        "heat": heat,
        "unfamiliar": face.unfamiliar,
        "probabilities": [(classes[index], float(face.probabilities[index])) for index in order],
    }


def _reduced(picture: Image.Image) -> dict[str, object]:
    """The picture as a data URI, not larger than a page needs, in the coordinates of its boxes."""
    width, height = picture.size
    small = picture.copy()
    small.thumbnail((SHOWN, SHOWN))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=90)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    return {"uri": uri, "width": width, "height": height, "letters": max(width, height) // 25}
