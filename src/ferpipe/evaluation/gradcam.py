"""Grad-CAM: the regions of a face that raise the logit of a class, from the last feature map."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ferpipe.model.backend import keras


def heat_maps(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Compute the heat map of a class for each image.

    After Selvaraju et al. 2017 (https://arxiv.org/abs/1610.02391), but without averaging the
    gradient over positions first (Draelos & Carin 2020, https://arxiv.org/abs/2011.08891), because
    a head may weigh positions. The head is linear in the map: its gradient is the head's kernel.

    Args:
        model: a saved model of this pipeline, see `model/network.py`.
        images: uint8 (n, side, side, channels).
        classes: int (n,), of each image.

    Returns:
        uint8 (n, side, side): 255 where the map raises the class most, 0 where it does not.
    """
    layers = {layer.name: layer for layer in model.layers}
    if "features" in layers:
        # A solved head has several levels, the last one at the end, and maybe the mirror image.
        features = layers["features"]
        level, source = features.get_layer("levels").input[-1], features.input
    else:
        level, source = layers["pool"].output, model.input
    kernel = np.asarray(layers["logits"].kernel)[-level.shape[-1] :]
    cells = level._keras_history.operation.input
    pooling = cells._keras_history.operation
    averages_cells = isinstance(pooling, keras.layers.AveragePooling2D)
    last_map = pooling.input if averages_cells else cells
    height, width = last_map.shape[1:3]
    weights = _position_weights(kernel, cells.shape[1:], (height, width))[..., classes]
    network = keras.Model(source, last_map)
    total = np.zeros((len(images), height, width), np.float32)
    for step in (1, -1) if "sides" in layers else (1,):  # -1: the mirror image
        maps = network(images[:, :, ::step], training=False)
        maps = keras.ops.convert_to_numpy(maps).astype(np.float32)
        total += np.einsum("nhwc,hwcn->nhw", maps, weights)[:, :, ::step]
    return np.stack([_enlarged(heat, images.shape[1]) for heat in total])


def _position_weights(
    kernel: np.ndarray, cells: tuple[int, ...], positions: tuple[int, int]
) -> np.ndarray:
    """The gradient of the logits at each position of the map: (height, width, channels, classes).

    `kernel` is (channels, classes) of a head that averages the map, or (cells * channels, classes);
    `cells` are rows, columns and channels of its input; each averages equally many `positions`.
    """
    rows, columns, channels = cells
    if len(kernel) == channels:
        kernel = np.broadcast_to(kernel, (*positions, *kernel.shape))
        return kernel / (positions[0] * positions[1])
    kernel = kernel.reshape(rows, columns, channels, -1)
    size = positions[0] // rows
    if size > 1:
        kernel = kernel.repeat(size, axis=0).repeat(size, axis=1) / size**2
        # Positions beyond the last whole cell have no weight.
        beyond = [(0, all_ - used) for all_, used in zip(positions, kernel.shape, strict=False)]
        kernel = np.pad(kernel, [*beyond, (0, 0), (0, 0)])
    return kernel


def _enlarged(heat: np.ndarray, side: int) -> np.ndarray:
    """Scale a map to 0..255 and to the side of the image."""
    positive = np.maximum(heat, 0)
    scaled = np.rint(255 * positive / max(float(positive.max()), 1e-12)).astype(np.uint8)
    return np.asarray(Image.fromarray(scaled).resize((side, side), Image.Resampling.BICUBIC))
