"""Faster TensorFlow kernels for Keras layers on a CPU, with equal results except for rounding.

Keras composes some layers of many small operations, and oneDNN's convolutions convert their kernels
to another layout at every step, which costs more than the arithmetic if feature maps are small and
kernels are large. docs/performance.md has the gain from each.
"""

from __future__ import annotations

import numpy as np

from ferpipe.model import folding
from ferpipe.model.backend import keras, tf

# Up to this many pixels of a feature map, the gradient of a 3x3 kernel is a matrix product; above,
# gathering the neighbourhoods costs more than the convolution's own gradient.
SMALL_MAP = 64


class Convolution(keras.layers.Conv2D):
    """Conv2D with 1x1 kernels as matrix products, and with our gradient of 3x3 on small maps."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve float (n, height, width, channels)."""
        kernel, stride = tf.convert_to_tensor(self.kernel), self.strides[0]
        if self.kernel_size == (1, 1):
            # Every other pixel, as inputs[:, ::2, ::2]; in several threads, also backward.
            x = tf.nn.avg_pool2d(inputs, 1, stride, "VALID") if stride > 1 else inputs
            # Not kernel[0, 0]: the gradient of a slice copies the whole kernel.
            y = tf.tensordot(x, tf.reshape(kernel, kernel.shape[2:]), 1)
        elif self._small(inputs):
            y = _convolve_3x3(inputs, kernel)
        else:
            y = tf.nn.conv2d(inputs, kernel, stride, self.padding.upper())
        return self.activation(self._biased(y))

    def _biased(self, y: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(y, tf.convert_to_tensor(self.bias)) if self.use_bias else y

    def _small(self, inputs: tf.Tensor) -> bool:
        _, height, width, _ = inputs.shape
        return (
            self.kernel_size == (3, 3)
            and self.strides == (1, 1)
            and self.padding == "same"
            and height * width <= SMALL_MAP
        )


class ConvolutionWithoutBias(Convolution):
    """Convolution that leaves its bias to the BatchNormalization after it."""

    def _biased(self, y: tf.Tensor) -> tf.Tensor:
        return y


@tf.custom_gradient
def _convolve_3x3(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
    y = tf.nn.conv2d(x, kernel, 1, "SAME")

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        dx = tf.nn.conv2d_transpose(dy, kernel, tf.shape(x), 1, "SAME")
        height, width, channels = x.shape[1:]
        # Each output pixel's nine neighbours, as indices into the padded map; twice as fast as
        # tf.image.extract_patches.
        row, column = np.mgrid[:height, :width].reshape(2, -1, 1)
        down, across = np.mgrid[:3, :3].reshape(2, 1, -1)
        indices = ((row + down) * (width + 2) + column + across).ravel()
        padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        padded = tf.reshape(padded, [-1, (height + 2) * (width + 2), channels])
        neighbours = tf.reshape(tf.gather(padded, indices, axis=1), [-1, 9 * channels])
        flat = tf.reshape(dy, [-1, dy.shape[-1]])
        return dx, tf.reshape(tf.matmul(neighbours, flat, transpose_a=True), kernel.shape)

    return y, gradient


class BatchNormalization(keras.layers.BatchNormalization):
    """BatchNormalization in one operation forward and one backward."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalise float (n, height, width, channels)."""
        del mask
        mean, variance = self.moving_mean.value, self.moving_variance.value
        update = bool(training and self.trainable)
        before = self.input._keras_history.operation
        # A bias of the inputs shifts their mean, and a batch's own mean cancels it.
        left_out = isinstance(before, ConvolutionWithoutBias)
        bias = tf.cast(before.bias.value, tf.float32) if left_out else None
        empty = tf.constant([], tf.float32)
        y, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value if self.scale else tf.ones_like(mean),
            offset=self.beta.value if self.center else tf.zeros_like(mean),
            mean=empty if update else mean if bias is None else mean - bias,
            variance=empty if update else variance,
            epsilon=self.epsilon,
            is_training=update,
        )
        if update:
            # The operation returns the variance over n - 1, Keras averages that over n.
            values = inputs.shape.num_elements() or tf.cast(tf.size(inputs), tf.float32)
            count = values / mean.shape[0]
            batch_variance *= (count - 1) / count
            batch_mean = batch_mean if bias is None else batch_mean + bias
            # On TensorFlow's variables, with fewer operations than Keras' `assign_sub` has.
            mean.assign_sub((mean - batch_mean) * (1 - self.momentum))
            variance.assign_sub((variance - batch_variance) * (1 - self.momentum))
        return y


def _can_convolve(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == 1
        and layer.dilation_rate == (1, 1)
        and layer.strides[0] == layer.strides[1]
    )


def _can_normalise(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.input.ndim == 4
        and layer.axis in (-1, 3)
        and not layer.renorm
    )


def use_faster(model: keras.Model) -> None:
    """Switch a model's layers to the kernels above.

    Which variables are trainable must be set before: a bias that is not trained and has a
    BatchNormalization after it is not added to the feature map.
    """
    use_stock(model)
    normalised = folding.normalised_convolutions(model)
    for layer in model._flatten_layers():
        if _can_convolve(layer):
            follower = normalised.get(layer)
            left_out = layer.use_bias and not layer.bias.trainable
            left_out = left_out and follower is not None and _can_normalise(follower)
            layer.__class__ = ConvolutionWithoutBias if left_out else Convolution
    for layer in model._flatten_layers():
        if _can_normalise(layer):
            layer.__class__ = BatchNormalization


def use_stock(model: keras.Model) -> None:
    """Switch every layer back to Keras' own class, as a model file must have it."""
    for layer in model._flatten_layers():
        if isinstance(layer, Convolution):
            layer.__class__ = keras.layers.Conv2D
        elif isinstance(layer, BatchNormalization):
            layer.__class__ = keras.layers.BatchNormalization
