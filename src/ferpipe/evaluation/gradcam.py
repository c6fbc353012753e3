"""Grad-CAM: the regions of a face that raise the logit of a class, from the maps a head sees."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ferpipe.model.backend import keras


def heat_maps(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Compute the heat map of a class for each image.

    After Selvaraju et al. 2017 (https://arxiv.org/abs/1610.02391), but without averaging the
    gradient over positions first (Draelos & Carin 2020, https://arxiv.org/abs/2011.08891), because
    a head may weigh positions. The head is linear in its maps: its gradient is the head's kernel.
    The maps of a solved head's levels are added. HOG features are left out: normalised by contrast,
    they are as large on a cheek as on a mouth.

    Args:
        model: a saved model of this pipeline, see `model/network.py`.
        images: uint8 (n, side, side, channels).
        classes: int (n,), of each image.

    Returns:
        uint8 (n, side, side): 255 where the map raises the class most, 0 where it does not.
    """
    layers = {layer.name: layer for layer in model.layers}
    if "features" in layers:
        inputs, source = layers["features"].get_layer("levels").input, layers["features"].input
    else:
        inputs, source = [layers["pool"].output], model.input
    kernel = np.asarray(layers["logits"].kernel)
    ends = np.cumsum([part.shape[-1] for part in inputs])
    parts = [
        _map_and_weights(part, kernel[end - part.shape[-1] : end])
        for part, end in zip(inputs, ends, strict=True)
        if part._keras_history.operation.name != "gradients"
    ]
    network = keras.Model(source, [feature_map for feature_map, _ in parts])
    total = np.zeros(images.shape[:3], np.float32)
    for step in (1, -1) if "sides" in layers else (1,):  # -1: the mirror image
        maps = keras.tree.flatten(network(images[:, :, ::step], training=False))
        for feature_map, (_, weights) in zip(maps, parts, strict=True):
            feature_map = keras.ops.convert_to_numpy(feature_map).astype(np.float32)
            heat = np.einsum("nhwc,hwcn->nhw", feature_map, weights[..., classes])[:, :, ::step]
            total += np.stack([_enlarged(one, images.shape[1]) for one in heat])
    return np.stack([_scaled(heat) for heat in total])


def _map_and_weights(
    features: keras.KerasTensor, kernel: np.ndarray
) -> tuple[keras.KerasTensor, np.ndarray]:
    """The map behind flattened or averaged features, and the gradient of the logits by it."""
    cells = features._keras_history.operation.input
    pooling = cells._keras_history.operation
    averages_cells = isinstance(pooling, keras.layers.AveragePooling2D)
    feature_map = pooling.input if averages_cells else cells
    return feature_map, _position_weights(kernel, cells.shape[1:], feature_map.shape[1:3])


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
    """Enlarge a map to the side of the image; the sum of its values stays about the same."""
    enlarged = Image.fromarray(heat).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(enlarged) * (heat.size / side**2)


def _scaled(heat: np.ndarray) -> np.ndarray:
    """Scale positive values to 0..255."""
    positive = np.maximum(heat, 0)
    return np.rint(255 * positive / max(float(positive.max()), 1e-12)).astype(np.uint8)
