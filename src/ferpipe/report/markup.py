"""Building HTML and SVG as trees, so that no text can break out of its element."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from xml.etree import ElementTree

import numpy as np
from PIL import Image

Element = ElementTree.Element
Child = Element | str | Iterable["Child"] | None

# Faces are shown at about this size; larger ones would only make the file large.
LARGEST_IMAGE = 96


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """Make an element.

    Args:
        tag: its name.
        children: elements, text, or any nesting of lists of them; None is left out.
        attributes: `class_` stands for class, `aria_label` for aria-label; None is left out.
    """
    made = ElementTree.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), printable(str(value)))
    _fill(made, children)
    return made


def _fill(parent: Element, children: Iterable[Child]) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + printable(child)
            else:
                parent.text = (parent.text or "") + printable(child)
        elif isinstance(child, ElementTree.Element):
            parent.append(child)
        else:
            _fill(parent, child)


def printable(text: str) -> str:
    """Escape what no page may hold, such as control characters in the name of a class."""
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def document(root: Element) -> str:
    """A whole page as text, with its doctype."""
    return (
        "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"
    )


def picture(pixels: np.ndarray, description: str) -> Element:
    """An image that lies within the page.

    Args:
        pixels: uint8 (side, side, 1 or 3).
        description: what it shows, for those who do not see it.
    """
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if image.width > LARGEST_IMAGE:
        image = image.resize((LARGEST_IMAGE, LARGEST_IMAGE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    # Stored, not compressed: what zlib makes of pixels differs from build to build.
    image.save(file, "PNG", compress_level=0)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return element(
        "img",
        src=f"data:image/png;base64,{data}",
        alt=description,
        width=image.width,
        height=image.height,
    )
