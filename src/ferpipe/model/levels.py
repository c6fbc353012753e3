"""The inner feature maps of a backbone that a solved head sees, found by rule for any network.

The output of a network trained on photographs is specialised on their classes. Expressions show a
third to a half of the way in, where maps still resolve a mouth corner; docs/training.md compares
levels.
"""

from __future__ import annotations

import math

from ferpipe.model.backend import keras

# A layer that these alone follow is a step inside a block; a level is what comes out of them.
COMPLETING = ("Activation", "ReLU", "BatchNormalization", "LayerNormalization", "Dropout")
BORDERS = ("InputLayer", "ZeroPadding2D", "Cropping2D")
# Squeeze-and-excitation averages maps to one pixel; such maps are not a resolution of the network.
MIN_SIDE = 2


def choose_levels(network: keras.Model, side: int) -> list[str]:
    """Choose two layers: the last one at 1/8 of the input's resolution, and the middle one at 1/16.

    Layers through which all paths to the output lead are preferred. `side` is that of the input, in
    pixels.
    """
    cuts = _cuts(network)
    stages: dict[int, list[int]] = {}
    for index, height in enumerate(_heights(network, side)):
        if height >= MIN_SIDE and not _is_inner(network.layers[index]):
            stages.setdefault(height, []).append(index)
    on_path = {size: [i for i in stage if i in cuts] for size, stage in stages.items()}
    on_path = {size: stage for size, stage in on_path.items() if stage}
    if len(on_path) > 3:  # else a network that skips whole cells, as NASNet does
        stages = on_path
    eighth, sixteenth = (
        stages[min(stages, key=lambda size: abs(math.log(size * reduction / side)))]
        for reduction in (8, 16)
    )
    middle = (sixteenth[0] + sixteenth[-1]) / 2
    half = min(sixteenth, key=lambda index: abs(index - middle))
    return [network.layers[index].name for index in sorted({eighth[-1], half})]


def _heights(network: keras.Model, side: int) -> list[int]:
    """The height of each layer's feature map; 0 where the output is no map."""
    outputs = [layer.output for layer in network.layers]
    if network.input.shape[1] is None:
        outputs = keras.Model(network.input, outputs)(keras.Input((side, side, 3)))
    return [output.shape[1] if output.ndim == 4 else 0 for output in outputs]


def _followers(layer: keras.Layer) -> list[keras.Layer]:
    return [node.operation for node in layer._outbound_nodes]


def _is_inner(layer: keras.Layer) -> bool:
    followers = {type(follower).__name__ for follower in _followers(layer)}
    return type(layer).__name__ in BORDERS or (bool(followers) and followers <= set(COMPLETING))


def _cuts(network: keras.Model) -> set[int]:
    """Indices of the layers through which all paths from input to output lead."""
    indices = {id(layer): index for index, layer in enumerate(network.layers)}
    cuts, used_until = set(), 0
    for index, layer in enumerate(network.layers):
        if used_until <= index:  # no earlier layer has a follower after this one
            cuts.add(index)
        ends = (indices[id(f)] for f in _followers(layer) if id(f) in indices)
        used_until = max(used_until, *ends, 0)
    return cuts
