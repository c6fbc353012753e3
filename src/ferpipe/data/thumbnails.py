"""thumbnails.npy: a small gray copy of each image, from which near-duplicates are found."""

from __future__ import annotations

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


def write(path: Path, thumbnails: np.ndarray) -> None:
    """Write thumbnails uint8 (n, SIDE, SIDE), in the order of index.csv."""
    with files.replacing(path) as file:
        np.save(file, thumbnails)


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
