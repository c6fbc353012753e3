"""Batch normalisation folded into the convolution before it, for a network that only predicts."""

from __future__ import annotations

import numpy as np

from ferpipe.model.backend import keras

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


class Folded(keras.layers.Layer):
    """In place of a BatchNormalization: the identity, with the same arguments."""

    def call(
        self, inputs: keras.KerasTensor, training: bool | None = None, mask: None = None
    ) -> keras.KerasTensor:
        """Return the inputs."""
        del training, mask
        return inputs


def fold_batchnorm(model: keras.Model) -> keras.Model:
    """Copy a functional model, each BatchNormalization folded into the convolution before it.

    A layer normalises by y = factor * x + offset per channel when it predicts, so its factor goes
    into the convolution's kernel and its offset into the bias (Jacob et al. 2018, section 3.2,
    https://arxiv.org/abs/1712.05877). The outputs are equal except for rounding. Layers that do not
    follow a convolution directly stay as they are.
    """
    folded = normalised_convolutions(model)
    normalisations = set(folded.values())
    copies: list[tuple[keras.Layer, keras.Layer]] = []

    def copy(layer: keras.Layer) -> keras.Layer:
        if layer in normalisations:
            return Folded(name=layer.name, dtype=layer.dtype_policy)
        config = layer.get_config()
        if layer in folded:
            config["use_bias"] = True
        new = type(layer).from_config(config)
        if isinstance(layer, keras.Layer):  # not an operation, such as a slice
            copies.append((layer, new))
        return new

    twin = keras.models.clone_model(model, clone_function=copy, recursive=True)
    for layer, new in copies:
        weights = layer.get_weights()
        new.set_weights(_merged(layer, weights, folded[layer]) if layer in folded else weights)
    return twin


def normalised_convolutions(model: keras.Model) -> dict[keras.Layer, keras.Layer]:
    """Convolutions, and the BatchNormalization that alone follows each."""
    found, layers = {}, model._flatten_layers()
    models = [layer for layer in layers if isinstance(layer, keras.Model)]
    outputs = {id(output) for part in models for output in part.outputs}
    for layer in layers:
        if (
            type(layer) in CONVOLUTIONS
            and layer.activation is keras.activations.linear
            and id(layer.output) not in outputs
        ):
            followers = {node.operation for node in layer._outbound_nodes}
            follower = followers.pop() if len(followers) == 1 else None
            if type(follower) is keras.layers.BatchNormalization and follower.axis in (-1, 3):
                found[layer] = follower
    return found


def _merged(
    convolution: keras.Layer, weights: list[np.ndarray], normalisation: keras.Layer
) -> list[np.ndarray]:
    gamma, beta, mean, variance = (
        keras.ops.convert_to_numpy(value) if value is not None else default
        for value, default in (
            (normalisation.gamma, 1.0),
            (normalisation.beta, 0.0),
            (normalisation.moving_mean, None),
            (normalisation.moving_variance, None),
        )
    )
    factor = gamma / np.sqrt(variance + normalisation.epsilon)
    kernel, *bias = weights
    # A depthwise kernel has (height, width, channels, multiplier).
    is_depthwise = type(convolution) is keras.layers.DepthwiseConv2D
    kernel = kernel * (factor.reshape(kernel.shape[2:]) if is_depthwise else factor)
    return [kernel, factor * ((bias[0] if bias else 0.0) - mean) + beta]
