"""HOG features (histograms of oriented gradients) as fixed layers of a network.

They need no training, and with a few hundred faces a linear head on them generalises well (Dalal &
Triggs 2005, https://doi.org/10.1109/CVPR.2005.177). `evaluation/hog.py` computes similar features
without a network, for the baseline.
"""

from __future__ import annotations

import numpy as np

from ferpipe.model.backend import keras

SIDE = 48
CELL = 6
BINS = 12  # over 360 degrees: dark to light differs from light to dark
CLIP = 0.2
# In gray levels. Flat areas have rounding errors near 0.0001, which normalising would amplify.
MIN_GRADIENT = 0.01
SQUARINGS = 3  # of the cosine to a bin's direction: a bin 30 degrees away gets a share of 0.27
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's gray
FIXED = {"use_bias": False, "trainable": False, "dtype": "float32"}


def histograms(x: keras.KerasTensor) -> keras.KerasTensor:
    """Compute histograms of gradient directions in cells, normalised in blocks of 2x2 cells.

    From float (n, side, side, 1 or 3), values 0..255, to float (n, 7, 7, 48): a vector of length 1
    for each block. Only stock Keras layers, so that a saved model loads without this package.
    """
    layers = keras.layers
    if x.shape[1] != SIDE:
        x = layers.Resizing(SIDE, SIDE, dtype="float32", name="gradient_resize")(x)
    directions, channels = layers.Conv2D(BINS, 3, name="gradient_directions", **FIXED), x.shape[-1]
    x = directions(x)
    directions.set_weights([_derivatives(channels)])
    x = layers.ReLU(threshold=MIN_GRADIENT, dtype="float32", name="gradient_rising")(x)
    share = layers.UnitNormalization(dtype="float32", name="gradient_cosines")(x)
    for i in range(SQUARINGS):
        share = layers.Multiply(dtype="float32", name=f"gradient_square{i}")([share, share])
    x = layers.Multiply(dtype="float32", name="gradient_shares")([x, share])
    x = layers.ZeroPadding2D(1, dtype="float32", name="gradient_border")(x)
    # Bilinear: each pixel counts for its four nearest cells, more for the nearer ones.
    cells = layers.DepthwiseConv2D(2 * CELL, CELL, "same", name="gradient_cells", **FIXED)
    x = cells(x)
    cells.set_weights([_tent(2 * CELL)])
    corners = [
        layers.Cropping2D(((top, 1 - top), (left, 1 - left)), name=f"gradient_corner{top}{left}")(x)
        for top in (0, 1)
        for left in (0, 1)
    ]
    x = layers.Concatenate(dtype="float32", name="gradient_blocks")(corners)
    x = layers.UnitNormalization(dtype="float32", name="gradient_contrast")(x)
    x = layers.ReLU(CLIP, dtype="float32", name="gradient_clip")(x)
    return layers.UnitNormalization(dtype="float32", name="gradient_unit")(x)


def _derivatives(channels: int) -> np.ndarray:
    """Kernels of the gray value's derivative in each direction, float32 (3, 3, channels, BINS)."""
    turn = 2 * np.pi * np.arange(BINS) / BINS
    kernel = np.zeros((3, 3, BINS))
    kernel[1, 2], kernel[1, 0] = np.cos(turn), -np.cos(turn)
    kernel[2, 1], kernel[0, 1] = np.sin(turn), -np.sin(turn)
    luma = np.array(LUMA if channels == 3 else (1.0,))
    return (kernel[:, :, None] * luma[:, None]).astype(np.float32)


def _tent(side: int) -> np.ndarray:
    """Weights that fall linearly from the centre and sum to 1, float32 (side, side, BINS, 1)."""
    line = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    tent = np.outer(line, line) / line.sum() ** 2
    return np.repeat(tent[:, :, None, None], BINS, axis=2).astype(np.float32)
