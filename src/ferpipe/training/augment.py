"""Random augmentation of training images, a function of the given random generator."""

from __future__ import annotations

import math

import numpy as np

from ferpipe.model.backend import keras
from ferpipe.params.train import Augment


def augmented(
    images: np.ndarray | keras.KerasTensor,
    rng: np.random.Generator,
    params: Augment,
    *,
    batch_size: int | None = None,
    rows: slice = slice(None),
) -> keras.KerasTensor:
    """Augment images (n, side, side, channels), values 0..255; returns a float32 tensor.

    The images may be only some `rows` of a batch of `batch_size`: the draws are for all of it.
    """
    side = images.shape[1]
    count = len(images) if batch_size is None else batch_size
    transforms = _transforms(rng, count, side, params)[rows]
    contrast = np.exp(rng.uniform(-1, 1, count) * math.log1p(params.contrast))[rows]
    contrast = contrast.astype(np.float32)
    x = keras.ops.cast(images, "float32")
    x = keras.ops.image.affine_transform(x, transforms, fill_mode="reflect")  # mirrored outside
    mean = keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
    x = (x - mean) * contrast[:, None, None, None] + mean
    return keras.ops.clip(x, 0.0, 255.0)


def _transforms(rng: np.random.Generator, count: int, side: int, params: Augment) -> np.ndarray:
    """Draw projective transforms from output to input coordinates, float32 (count, 8)."""
    angle = np.radians(rng.uniform(-params.rotate, params.rotate, count))
    shift = rng.uniform(-params.shift, params.shift, (count, 2)) * side
    # Drawn on a logarithmic scale: twice as large is as likely as half as large.
    zoom = np.exp(rng.uniform(-1, 1, count) * math.log1p(params.zoom))
    flip = np.where(rng.random(count) < 0.5 * params.flip, -1.0, 1.0)

    # Rotation, zoom and mirroring about the centre, then the shift.
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    a, b, c, d = cos * flip, -sin, sin * flip, cos
    centre = (side - 1) / 2
    x = centre - a * centre - b * centre + shift[:, 0]
    y = centre - c * centre - d * centre + shift[:, 1]
    zero = np.zeros(count)
    return np.stack([a, b, x, c, d, y, zero, zero], axis=1).astype(np.float32)
