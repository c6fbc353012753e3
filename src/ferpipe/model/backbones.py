"""The table of networks: how each wants its input, and how it starts."""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.model import saving
from ferpipe.model.backend import keras

# The mean and standard deviation of ImageNet's RGB channels, on a scale of 0..255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
# What "caffe" subtracts, in BGR order.
CAFFE_MEAN = (103.939, 116.779, 123.68)

WEIGHTS_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Backbone:
    """How a network is used.

    Args:
        convention: what it does to pixels 0..255 first: "caffe" (BGR minus the mean), "tf" (to
            -1..1), "torch" (minus mean, over deviation), "inside" (the network does it), or
            "standardise" (each image to mean 0 and deviation 1).
        zero_gamma: pattern of the last normalisation's name in a residual block, if it has one.
        keeps_places: whether a trained head sees where on the face a feature is, or its mean.
        levels: layers that a solved head sees; none: the output's means.
    """

    convention: str
    zero_gamma: str | None = None
    keeps_places: bool = False
    levels: tuple[str, ...] = ()


FAMILIES = {
    "compact": Backbone(
        "standardise",
        zero_gamma=r"_2_bn$",
        keeps_places=True,
        levels=("stage1_relu", "stage2_relu"),  # stage3 has learned its own task too well
    ),
    "VGG": Backbone("caffe"),
    "ResNet": Backbone("caffe", zero_gamma=r"_3_bn$"),
    "ResNetV2": Backbone("tf"),
    "InceptionV3": Backbone("tf"),
    "InceptionResNetV2": Backbone("tf"),
    "Xception": Backbone("tf"),
    "MobileNet": Backbone("tf"),
    "MobileNetV2": Backbone("tf"),
    "MobileNetV3": Backbone("inside"),
    "DenseNet": Backbone("torch"),
    "NASNet": Backbone("tf"),
    "EfficientNet": Backbone("inside"),
    "EfficientNetV2": Backbone("inside"),
    "ConvNeXt": Backbone("inside"),
}


def lookup(name: str) -> Backbone:
    """The table's row for a network: that of the longest family name it begins with.

    Only `ResNet50V2` and its like carry their family's version at the end.
    """
    if re.fullmatch(r"ResNet\d+V2", name):
        return FAMILIES["ResNetV2"]
    return FAMILIES[max((family for family in FAMILIES if name.startswith(family)), key=len)]


def build(name: str, input_size: int, channels: int, weights: str) -> keras.Model:
    """Build a backbone without its classifier, named "backbone".

    Args:
        name: "compact", or a name in keras.applications.
        input_size: side of its input, in pixels.
        channels: channels of the images; keras.applications always get 3, see `network.py`.
        weights: "none", "imagenet", or the path of a file: a model of this pipeline (`.keras`),
            whose backbone is taken, or weights that Keras saved (`.h5`).

    Returns:
        A model from float (n, side, side, channels), scaled by the convention, to feature maps.

    Raises:
        PipelineError: the weights cannot be had or do not fit.
    """
    if name == "compact":
        backbone = compact((input_size, input_size, channels))
    else:
        backbone = _from_applications(name, input_size, weights)
    if weights == "none":
        _prepare_random(backbone, lookup(name))
    elif weights != "imagenet":
        _load(backbone, weights)
    return backbone


def compact(shape: tuple[int, int, int]) -> keras.Model:
    """Build our small residual network: 0.3 M weights, made for 48x48 faces and a CPU.

    A basic residual block (He et al. 2016, https://arxiv.org/abs/1512.03385) at each of four
    widths, with max pooling between them. Strided convolutions in its place learn a few hundred
    faces far more slowly: a mouth corner that moves by a pixel changes what they see.
    """
    inputs = keras.Input(shape, name="pixels")
    widths = (16, 32, 64, 128)
    x = _convolution(inputs, widths[0], 3, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate(widths):
        name = f"stage{stage}"
        if stage > 0:
            x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        shortcut = _convolution(x, width, 1, f"{name}_0") if stage > 0 else x
        x = _convolution(x, width, 3, f"{name}_1")
        x = keras.layers.ReLU(name=f"{name}_1_relu")(x)
        x = _convolution(x, width, 3, f"{name}_2")
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.Model(inputs, x, name="backbone")


def _convolution(x: keras.KerasTensor, width: int, kernel: int, name: str) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        width,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn")(x)


def _from_applications(name: str, input_size: int, weights: str) -> keras.Model:
    constructor = getattr(keras.applications, name)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WEIGHTS_TIMEOUT_SECONDS)  # Keras' own download waits for ever
    try:
        network = constructor(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=(input_size, input_size, 3),
        )
        # Not every constructor takes a name.
        return keras.Model(network.input, network.output, name="backbone")
    except ValueError as error:
        raise PipelineError(f"{name} cannot be built: {one_line(error)}") from None
    except Exception as error:
        # Keras raises a bare Exception when the download fails; anything else is a defect.
        if "URL fetch failure" not in str(error):
            raise
        url = re.search(r"https?://\S+", str(error))
        file = url.group(0).rstrip(":") if url else "the weights file"
        raise PipelineError(
            f"train.weights = 'imagenet': {file} cannot be fetched; on a machine without internet "
            "put that file into ~/.keras/models, or use train.weights: none"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)


def _prepare_random(backbone: keras.Model, row: Backbone) -> None:
    """Make a deep network with random weights begin as a shallow one.

    Residual branches start at zero (Goyal et al. 2017, https://arxiv.org/abs/1706.02677, 5.1).
    """
    for layer in backbone.layers:
        if row.zero_gamma and re.search(row.zero_gamma, layer.name):
            layer.gamma.assign(layer.gamma * 0.0)


def _load(backbone: keras.Model, weights: str) -> None:
    try:
        if weights.endswith(".keras"):
            backbone.set_weights(within(saving.load_vetted(Path(weights))).get_weights())
            return
        with saving.complete_weights():
            backbone.load_weights(weights)
        saving.check_finite(backbone)
    except saving.UNREADABLE as error:
        raise PipelineError(
            f"train.weights = {weights!r} does not fit the backbone: {one_line(error)}"
        ) from None


def within(model: keras.Model) -> keras.Model:
    """The backbone of a classifier, see `network.py`; a solved head has it among its features."""
    if any(layer.name == "features" for layer in model.layers):
        model = model.get_layer("features")
    return model.get_layer("backbone")


def set_momentum(backbone: keras.Model, steps: int) -> None:
    """Let the statistics of BatchNorm follow the weights within a share of an epoch.

    Keras' momentum of 0.99 averages over a hundred steps: on an epoch of twenty, statistics of
    epochs ago meet the weights of today, and validation collapses. A tenth of an epoch, but ten
    steps or more, follows and is still an average.

    Args:
        backbone: the network.
        steps: in an epoch.
    """
    momentum = 1 - 1 / min(100, max(10, steps / 10))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def set_trainable(backbone: keras.Model, trainable: bool, frozen_batchnorm: bool) -> None:
    """Freeze or free a backbone.

    BatchNorm layers that come with weights should stay frozen, and so keep their statistics:
    batches of few images would spoil them. The call with `training=False` that Keras' guide on
    transfer learning shows does not do it, since a training step overrides it
    (https://github.com/keras-team/keras/issues/20285).
    """
    backbone.trainable = trainable
    for layer in backbone.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if frozen_batchnorm:
            layer.trainable = False
        before = layer.input._keras_history.operation
        if getattr(before, "bias", None) is not None:
            # The batch's mean takes away what a bias adds; training could only let it drift.
            before.bias.trainable = trainable and frozen_batchnorm


def check_weights_file(path: str, sha256: str) -> None:
    """Hold a weights file against its hash.

    Raises:
        PipelineError: the file is missing or is another one.
    """
    try:
        with Path(path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise PipelineError(f"train.weights = {path!r}: there is no such file") from None
    if found != sha256:
        raise PipelineError(
            f"train.weights = {path!r} has the SHA-256 {found}, not train.weights_sha256 ({sha256})"
        )
