"""Faces in the report: as data URIs, and with a heat map over them."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

# Faces are shown at about this side, in pixels.
SIDE = 96
ORANGE = (255, 110, 0)


def data_uri(pixels: np.ndarray, side: int = SIDE) -> str:
    """Encode uint8 (side, side, 1 or 3), reduced to a side of at most `side`, as a PNG in a URI."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    # Not compressed: the output of zlib differs between its builds.
    image.save(file, "PNG", compress_level=0)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Blend orange over uint8 (side, side, 1 or 3) by heat, uint8 (side, side); gives RGB."""
    base = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.int32)
    weight = heat[:, :, None].astype(np.int32)
    return ((base * (340 - weight) + np.array(ORANGE) * weight) // 340).astype(np.uint8)
