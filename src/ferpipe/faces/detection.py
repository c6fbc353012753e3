"""Finding faces and their landmarks: the cascade of MTCNN, from coarse to fine.

PNet slides over the picture at falling scales and proposes windows, RNet rejects most of them, and
ONet rejects again and finds the landmarks. Coordinates are in pixels from the picture's upper left
corner, where a pixel is 1 wide, so its middle is at 0.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ferpipe.faces import networks

WINDOW, STRIDE = 12, 2  # of PNet, in pixels
SIDES = {"rnet": 24, "onet": 48}  # of the windows that the other networks see
PYRAMID = 0.709  # from one scale to the next: half of the area
# What a network must be sure of; the user's confidence is for ONet.
PROPOSED, REFINED = 0.6, 0.7
# Longest side of the picture that is searched, and most proposals of a scale: they bound time and
# memory.
MAX_SIDE, MAX_PROPOSALS = 1280, 1000


class Face(NamedTuple):
    """A face in a picture; left and right are the viewer's.

    Args:
        box: left, top, right, bottom in pixels.
        confidence: that it is a face, 0..1.
        landmarks: float64 (5, 2), x and y in pixels of the left eye, the right eye, the nose and
            the left and right mouth corner.
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: np.ndarray


def detect(picture: Image.Image, minimum_size: int, confidence: float) -> list[Face]:
    """Find the faces in a picture, from left to right.

    Args:
        picture: mode "L" or "RGB", of any size. It is searched at `MAX_SIDE` at most: in one of
            8192 px no face under 77 px is found.
        minimum_size: longer side of the smallest face, in pixels.
        confidence: of the least sure face, 0..1.
    """
    # A face of twice ONet's window has all that the networks see.
    wanted = min(1, 2 * SIDES["onet"] / minimum_size, MAX_SIDE / max(picture.size))
    width, height = (max(1, round(wanted * side)) for side in picture.size)
    scale = np.array([width / picture.width, height / picture.height])
    reduced = _resized(picture, width, height).convert("RGB")
    boxes = _propose(reduced, max(WINDOW, minimum_size * wanted))
    boxes, _, _ = _refine(reduced, boxes, "rnet", REFINED)
    boxes, scores, landmarks = _refine(reduced, boxes, "onet", confidence)
    kept = _suppress(boxes, scores, 0.7, of_smaller=True)
    boxes, landmarks = boxes / np.tile(scale, 2), landmarks / scale
    faces = [
        Face(tuple(boxes[row].tolist()), float(scores[row]), landmarks[row])
        for row in kept
        if (boxes[row, 2:] - boxes[row, :2]).max() >= minimum_size
    ]
    return sorted(faces, key=lambda face: face.box)


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    return picture.resize((width, height), Image.Resampling.BOX, reducing_gap=3.0)


def _propose(picture: Image.Image, smallest: float) -> np.ndarray:
    """Slide PNet over the picture at scales at which a face is one window; boxes (n, 4)."""
    boxes, scores = [np.empty((0, 4))], [np.empty(0)]
    scale = WINDOW / smallest
    while min(picture.size) * scale >= WINDOW:
        width, height = (int(side * scale) for side in picture.size)
        pixels = np.asarray(_resized(picture, width, height))
        offsets, sure = (output[0] for output in networks.run("pnet", pixels[None]))
        rows, columns = np.nonzero(sure[..., 0] > PROPOSED)
        corner = STRIDE * np.stack([columns, rows], axis=1)
        found = np.hstack([corner, corner + WINDOW]) + WINDOW * offsets[rows, columns]
        found = found * np.tile([picture.width / width, picture.height / height], 2)
        kept = _suppress(found, sure[rows, columns, 0], 0.5)
        boxes.append(found[kept])
        scores.append(sure[rows, columns, 0][kept])
        scale *= PYRAMID
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    return boxes[_suppress(boxes, scores, 0.7)]


def _refine(
    picture: Image.Image, boxes: np.ndarray, name: str, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep and correct the boxes that RNet or ONet takes for faces.

    Returns:
        Boxes (n, 4), confidences (n,) and landmarks (n, 5, 2), which are empty from RNet.
    """
    squares = _squared(boxes)
    if len(boxes) == 0:
        return boxes, np.empty(0), np.empty((0, 5, 2))
    windows = np.stack([_window(picture, square, SIDES[name]) for square in squares])
    offsets, *landmarks, sure = networks.run(name, windows)
    sure = sure[:, 0]
    side = squares[:, 2:3] - squares[:, :1]
    boxes = squares + side * offsets
    points = np.empty((len(boxes), 0, 2))
    if landmarks:
        inside = landmarks[0].reshape(-1, 2, 5).swapaxes(1, 2)
        points = squares[:, None, :2] + side[:, None] * inside
    kept = np.flatnonzero(sure >= least)
    if name == "rnet":
        kept = kept[_suppress(boxes[kept], sure[kept], 0.7)]
    return boxes[kept], sure[kept], points[kept]


def _squared(boxes: np.ndarray) -> np.ndarray:
    """Squares of the longer side around the same middle."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True, initial=1) / 2
    return np.hstack([middle - half, middle + half])


def _window(picture: Image.Image, square: np.ndarray, side: int) -> np.ndarray:
    """A square of the picture, black outside of it, as uint8 (side, side, 3)."""
    left, top, right, bottom = square.tolist()
    x, y = int(np.floor(left)), int(np.floor(top))
    around = picture.crop((x, y, int(np.ceil(right)), int(np.ceil(bottom))))
    inside = (left - x, top - y, right - x, bottom - y)
    return np.asarray(around.resize((side, side), Image.Resampling.BILINEAR, box=inside))


def _suppress(
    boxes: np.ndarray, scores: np.ndarray, most: float, of_smaller: bool = False
) -> np.ndarray:
    """Rows of the boxes, best first, that overlap with no better one by more than `most`.

    The overlap is a fraction of both boxes' union, or of the smaller box.
    """
    left = np.argsort(-scores, kind="stable")[:MAX_PROPOSALS]
    area = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        lower = np.maximum(boxes[best, :2], boxes[left, :2])
        upper = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (upper - lower).clip(0).prod(axis=1)
        whole = (
            np.minimum(area[best], area[left]) if of_smaller else area[best] + area[left] - shared
        )
        left = left[shared <= most * whole]
    return np.array(kept, int)
