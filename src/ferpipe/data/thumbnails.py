"""thumbnails.npy: a small gray copy of each image, from which near-duplicates are found."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.data import images

SIDE = 12


def thumbnail(image: Image.Image) -> np.ndarray:
    """A thumbnail of an image of mode "L" or "RGB": uint8 (SIDE, SIDE)."""
    return images.square(image, SIDE, "grayscale")[:, :, 0]


def from_bytes(pixels: bytes | bytearray) -> np.ndarray:
    """Thumbnails, uint8 (n, SIDE, SIDE), from the pixels of one after the other."""
    return np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)


def write(path: Path, thumbnails: Sequence[np.ndarray]) -> None:
    """Write thumbnails, in the order of index.csv."""
    file = io.BytesIO()
    np.save(file, np.asarray(thumbnails))
    files.write_bytes(path, file.getvalue())


def read(path: Path, count: int) -> np.ndarray:
    """Read the thumbnails of `count` images: uint8 (count, SIDE, SIDE).

    Raises:
        PipelineError: the file is missing or holds something else.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    except (ValueError, EOFError):
        found = None
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8:
        raise PipelineError(f"{path} is damaged; run `dvc repro --force`")
    if found.shape != (count, SIDE, SIDE):
        raise PipelineError(
            f"{path} has the shape {found.shape}, not that of {count} thumbnails; run "
            "`dvc repro --force`"
        )
    return found
