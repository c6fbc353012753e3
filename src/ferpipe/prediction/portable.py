"""Layers that compute the same as Keras' by operations that converters and runtimes have."""

from __future__ import annotations

from ferpipe.model.backend import keras, tf

# The square of the length from which on Keras divides by it.
SMALLEST = 1e-24


def make_portable(model: keras.Model) -> None:
    """Exchange the code of such layers in a model; their weights stay."""
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.UnitNormalization:
            layer.__class__ = FiniteNormalization
        elif type(layer) is keras.layers.Conv2D and _is_depthwise(layer):
            layer.__class__ = GroupPerChannel
        elif type(layer) is keras.layers.Normalization:
            # As tensors they would be inputs of the function.
            layer.mean = keras.ops.convert_to_numpy(layer.mean)
            layer.variance = keras.ops.convert_to_numpy(layer.variance)
        elif getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = gelu


class FiniteNormalization(keras.layers.UnitNormalization):
    """UnitNormalization without the inverse root of 0, which LiteRT's fast kernels make NaN."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Divide by the length; a vector of length 0 stays 0."""
        square = tf.reduce_sum(tf.square(inputs), self.axis, keepdims=True)
        return inputs * tf.math.rsqrt(tf.maximum(square, SMALLEST))


def _is_depthwise(layer: keras.layers.Conv2D) -> bool:
    return layer.groups == layer.filters == layer.input.shape[-1] and layer.groups > 1


class GroupPerChannel(keras.layers.Conv2D):
    """Conv2D with a group for each channel, as ConvNeXt has it.

    Keras compiles convolutions in groups with XLA, which ONNX cannot call.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve each channel; the kernel is (height, width, 1, channels)."""
        return keras.ops.depthwise_conv(
            inputs,
            tf.transpose(kernel, (0, 1, 3, 2)),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )


def gelu(x: tf.Tensor) -> tf.Tensor:
    """The exact GELU by erf; TensorFlow's is by erfc, which ONNX has not."""
    return 0.5 * x * (1.0 + tf.math.erf(x * 0.5**0.5))
