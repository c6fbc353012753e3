"""Grad-CAM: which places of a face spoke for a class, through the backbone's last feature map."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ferpipe.model.backend import keras


def heat_maps(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Show where the last feature map speaks for a class.

    After Selvaraju et al. 2017 (https://arxiv.org/abs/1610.02391), but each gradient stays in its
    place instead of being averaged first (Draelos & Carin 2020, https://arxiv.org/abs/2011.08891).
    Behind a head that averages the map both are the same. Ours may see places, and there the mean
    gradient would show places that did not count.

    The head is linear in the map, so its gradient is the head's kernel and nothing is
    differentiated.

    Args:
        model: a saved model of this pipeline, see `model/network.py`.
        images: uint8 (n, side, side, channels).
        classes: int (n,), the class to show for each image.

    Returns:
        uint8 (n, side, side): 255 where an image's map speaks most for the class, 0 where it does
        not or speaks against it.
    """
    head = model.get_layer("logits")
    if any(layer.name == "features" for layer in model.layers):
        # A solved head sees several levels, the last one at the end, and maybe the mirror image.
        features = model.get_layer("features")
        seen = features.get_layer("levels").input[-1]
        sides = (False, True) if any(layer.name == "sides" for layer in model.layers) else (False,)
        source = features.input
    else:
        seen, source, sides = model.get_layer("pool").output, model.input, (False,)
    kernel = np.asarray(head.kernel)[-seen.shape[-1] :]
    cells = seen._keras_history.operation.input
    pooling = cells._keras_history.operation
    averages_cells = isinstance(pooling, keras.layers.AveragePooling2D)
    last_map = pooling.input if averages_cells else cells
    network = keras.Model(source, last_map)
    height, width = last_map.shape[1:3]
    total = np.zeros((len(images), height, width), np.float32)
    for mirrored in sides:
        maps = network(images[:, :, ::-1] if mirrored else images, training=False)
        maps = keras.ops.convert_to_numpy(maps).astype(np.float32)
        places = _in_places(kernel, cells.shape[1:], (height, width))[..., classes]
        found = np.einsum("nhwc,hwcn->nhw", maps, places)
        total += found[:, :, ::-1] if mirrored else found
    return np.stack([_enlarged(each, images.shape[1]) for each in total])


def _in_places(kernel: np.ndarray, cells: tuple[int, ...], places: tuple[int, int]) -> np.ndarray:
    """The kernel's share at each place of the map: (height, width, channels, classes).

    Args:
        kernel: (channels, classes) of a head that averages the map, or (cells * channels, classes).
        cells: (rows, columns, channels) of what the head sees flattened.
        places: height and width of the map; each cell averages the same number of them.
    """
    rows, columns, channels = cells
    if len(kernel) == channels:
        kernel = np.broadcast_to(kernel, (*places, *kernel.shape))
        return kernel / (places[0] * places[1])
    kernel = kernel.reshape(rows, columns, channels, -1)
    size = places[0] // rows
    if size > 1:
        kernel = kernel.repeat(size, axis=0).repeat(size, axis=1) / size**2
        # Places beyond the last whole cell are not seen.
        beyond = [(0, place - side) for place, side in zip(places, kernel.shape, strict=False)]
        kernel = np.pad(kernel, [*beyond, (0, 0), (0, 0)])
    return kernel


def _enlarged(heat: np.ndarray, side: int) -> np.ndarray:
    """Scale a map to 0..255 and to the side of the image."""
    positive = np.maximum(heat, 0)
    whole = np.rint(255 * positive / max(float(positive.max()), 1e-12)).astype(np.uint8)
    return np.asarray(Image.fromarray(whole).resize((side, side), Image.Resampling.BICUBIC))
