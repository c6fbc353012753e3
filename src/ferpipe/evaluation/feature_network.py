"""Projected features: what the head of a network sees of an image, in few numbers.

Each channel of a map is averaged over the four quarters of the image, and the averages are
projected to random directions. Averages tell unlike images apart better than single positions do:
faces differ more in where their features are than in which they have. Random directions see what
is unlike training; its principal components do not.
"""

from __future__ import annotations

import numpy as np

from ferpipe.data import records
from ferpipe.evaluation.feature_distance import DIRECTIONS, FeatureDistance, fit
from ferpipe.model import saving
from ferpipe.model.backend import keras

SEED = 1
HALVES = 2  # of the image, along each axis
MOST_IMAGES = 2000  # of a split that are used, evenly spaced


class FeatureNetwork:
    """A saved model that gives its probabilities and its projected features together."""

    def __init__(self, model: keras.Model) -> None:
        """`model` is as in `model/network.py`, with probabilities."""
        # Not in NumPy, whose threads and those of TensorFlow wait for each other.
        project = keras.layers.Dense(DIRECTIONS, use_bias=False, dtype="float32")
        projected = project(model.get_layer("logits").input)
        project.set_weights([directions(_maps(model))])
        # As one array, which `saving.predict` takes.
        both = keras.layers.Concatenate(dtype="float32")([model.output, projected])
        self._network = keras.Model(model.input, both)
        self._classes = model.output_shape[-1]

    def __call__(self, images: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Float64 (n, classes) and (n, DIRECTIONS) of uint8 (n, side, side, channels)."""
        both = saving.predict(self._network, images, batch_size).astype(np.float64)
        return both[:, : self._classes], both[:, self._classes :]


def measure(
    model: keras.Model, train: records.Dataset, held_out: np.ndarray, limit_from: str, batch: int
) -> FeatureDistance:
    """Measure where training images lie, and the limit on images that were held out."""
    network = FeatureNetwork(model)
    train = train.take(_subsample(len(train.labels)))
    _, projected = network(train.images, batch)
    _, others = network(held_out[_subsample(len(held_out))], batch)
    return fit(projected, train.labels, others, limit_from)


def directions(maps: list[tuple[int, int, int]]) -> np.ndarray:
    """Random directions, float64 (features, DIRECTIONS), for the maps that a head sees.

    They are of 1 and -1 (Achlioptas 2003, https://doi.org/10.1016/S0022-0000(03)00025-4): of the
    bits of random integers, which NumPy promises not to change.
    """
    bits, parts = np.random.PCG64(SEED), []
    for rows, columns, channels in maps:
        drawn = bits.random_raw(HALVES * HALVES * channels).astype("<u8").view(np.uint8)
        signs = 2.0 * np.unpackbits(drawn).reshape(HALVES, HALVES, channels, DIRECTIONS) - 1
        top_or_bottom = np.arange(rows)[:, None] * HALVES // rows
        left_or_right = np.arange(columns) * HALVES // columns
        part = signs[top_or_bottom, left_or_right] / (rows * columns)
        parts.append(part.reshape(-1, DIRECTIONS))
    return np.concatenate(parts)


def _maps(model: keras.Model) -> list[tuple[int, int, int]]:
    """Rows, columns and channels of each part of the head's input, which has them flattened."""
    layers = {layer.name: layer for layer in model.layers}
    solved = "features" in layers
    inputs = layers["features"].get_layer("levels").input if solved else [layers["pool"].output]
    maps = []
    for features in inputs:
        pool = features._keras_history.operation
        averaged = isinstance(pool, keras.layers.GlobalAveragePooling2D)
        maps.append((1, 1, features.shape[-1]) if averaged else pool.input.shape[1:])
    return maps


def _subsample(count: int) -> np.ndarray:
    """Ascending indices, evenly spaced: all, or MOST_IMAGES."""
    most = min(count, MOST_IMAGES)
    return np.arange(most) * count // most
