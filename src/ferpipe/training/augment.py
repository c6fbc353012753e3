"""Random changes of training images: each batch's are a function of the draws alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ferpipe.model.backend import keras
from ferpipe.params.train import Augment


@dataclass(frozen=True)
class Draws:
    """What happens to each image of a batch.

    Args:
        transforms: float32 (n, 8), the projective transform from output to input coordinates.
        contrasts: float32 (n,), the factor on differences from the image's mean.
    """

    transforms: np.ndarray
    contrasts: np.ndarray


def draw(rng: np.random.Generator, count: int, side: int, params: Augment) -> Draws:
    """Draw the changes for a batch.

    Args:
        rng: where randomness comes from.
        count: images in the batch.
        side: of the images, in pixels.
        params: the section `train.augment`.
    """
    turn = np.radians(rng.uniform(-params.rotate, params.rotate, count))
    shift = rng.uniform(-params.shift, params.shift, (count, 2)) * side
    # Drawn on a logarithmic scale: twice as large is as likely as half as large.
    zoom = np.exp(rng.uniform(-1, 1, count) * math.log1p(params.zoom))
    flip = np.where(rng.random(count) < 0.5 * params.flip, -1.0, 1.0)
    contrast = np.exp(rng.uniform(-1, 1, count) * math.log1p(params.contrast))

    # Rotation, zoom and mirroring about the centre, then the shift.
    cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
    a, b, c, d = cos * flip, -sin, sin * flip, cos
    centre = (side - 1) / 2
    across = centre - a * centre - b * centre + shift[:, 0]
    down = centre - c * centre - d * centre + shift[:, 1]
    zero = np.zeros(count)
    transforms = np.stack([a, b, across, c, d, down, zero, zero], axis=1)
    return Draws(transforms.astype(np.float32), contrast.astype(np.float32))


def apply(images: np.ndarray | keras.KerasTensor, draws: Draws) -> keras.KerasTensor:
    """Change a batch of images.

    Args:
        images: uint8 or float (n, side, side, channels), values 0..255, array or tensor.
        draws: what happens to each.

    Returns:
        float32 tensor of the same shape, values 0..255. Beyond its border an image is mirrored.
    """
    x = keras.ops.image.affine_transform(
        keras.ops.cast(images, "float32"),
        draws.transforms,
        interpolation="bilinear",
        fill_mode="reflect",
    )
    mean = keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
    x = (x - mean) * draws.contrasts[:, None, None, None] + mean
    return keras.ops.clip(x, 0.0, 255.0)
