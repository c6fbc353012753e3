"""Histograms of oriented gradients as fixed layers of a network.

A few hundred faces teach a network few edges. These features need no training, and a linear head
on them does well on faces never seen (Dalal & Triggs 2005,
https://doi.org/10.1109/CVPR.2005.177). `hog.py` is the same idea without a network, as the bar.
"""

from __future__ import annotations

import numpy as np

from ferpipe.model.backend import keras

SIDE = 48
CELL = 6
BINS = 12  # over the full turn: dark to light is not light to dark
CLIP = 0.2
# Gray levels. Where nothing rises, rounding leaves about 0.0001, which normalising would blow up.
LEAST_RISE = 0.01
SQUARINGS = 3  # of the cosine to a bin's direction: the share of 30 degrees beside it is 0.27
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's gray


def histograms(x: keras.KerasTensor) -> keras.KerasTensor:
    """Histograms of the gradients' directions in cells, normalised in blocks of 2x2 cells.

    Made of Keras' own layers only, so that a saved model loads without this package.

    Args:
        x: float (n, side, side, 1 or 3), values 0..255.

    Returns:
        float (n, 7, 7, 48): of each block of cells, a vector of length 1.
    """
    layers = keras.layers
    if x.shape[1] != SIDE:
        x = layers.Resizing(SIDE, SIDE, dtype="float32", name="gradient_resize")(x)
    x = _fixed(layers.Conv2D(BINS, 3, **_options("directions")), x, _derivatives(x.shape[-1]))
    x = layers.ReLU(threshold=LEAST_RISE, dtype="float32", name="gradient_rising")(x)
    share = layers.UnitNormalization(dtype="float32", name="gradient_cosines")(x)
    for number in range(SQUARINGS):
        name = f"gradient_square{number}"
        share = layers.Multiply(dtype="float32", name=name)([share, share])
    x = layers.Multiply(dtype="float32", name="gradient_shares")([x, share])
    x = layers.ZeroPadding2D(1, dtype="float32", name="gradient_border")(x)
    # Each pixel counts for its four nearest cells, the nearer the more.
    side = 2 * CELL
    cells = layers.DepthwiseConv2D(side, strides=CELL, padding="same", **_options("cells"))
    x = _fixed(cells, x, _tent(side))

    corners = [
        layers.Cropping2D(((top, 1 - top), (left, 1 - left)), name=f"gradient_corner{top}{left}")(x)
        for top in (0, 1)
        for left in (0, 1)
    ]
    x = layers.Concatenate(dtype="float32", name="gradient_blocks")(corners)
    x = layers.UnitNormalization(dtype="float32", name="gradient_contrast")(x)
    x = layers.ReLU(CLIP, dtype="float32", name="gradient_clip")(x)
    return layers.UnitNormalization(dtype="float32", name="gradient_unit")(x)


def _options(name: str) -> dict[str, object]:
    return {
        "use_bias": False,
        "trainable": False,
        "dtype": "float32",
        "name": f"gradient_{name}",
    }


def _fixed(layer: keras.Layer, x: keras.KerasTensor, kernel: np.ndarray) -> keras.KerasTensor:
    x = layer(x)
    layer.set_weights([kernel])
    return x


def _derivatives(channels: int) -> np.ndarray:
    """Derivatives of the gray values along each direction, float32 (3, 3, channels, BINS)."""
    turn = 2 * np.pi * np.arange(BINS) / BINS
    kernel = np.zeros((3, 3, BINS))
    kernel[1, 2], kernel[1, 0] = np.cos(turn), -np.cos(turn)
    kernel[2, 1], kernel[0, 1] = np.sin(turn), -np.sin(turn)
    luma = np.array(LUMA if channels == 3 else (1.0,))
    return (kernel[:, :, None] * luma[:, None]).astype(np.float32)


def _tent(side: int) -> np.ndarray:
    """Weights that fall linearly from the middle and sum to 1, float32 (side, side, BINS, 1)."""
    line = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    tent = np.outer(line, line) / line.sum() ** 2
    return np.repeat(tent[:, :, None, None], BINS, axis=2).astype(np.float32)
