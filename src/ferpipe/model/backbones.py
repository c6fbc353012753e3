"""Backbones: how each prepares its input, how it is initialised and how it is frozen."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import files
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.model import saving
from ferpipe.model.backend import keras

# Mean and standard deviation of ImageNet's RGB channels, for values 0..255.
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
# Factor and offset of each channel by convention; "caffe" is in BGR order.
SCALES = {
    "caffe": (1.0, [-103.939, -116.779, -123.68]),
    "tf": (1 / 127.5, -1.0),
    "torch": ([1 / std for std in STD], [-mean / std for mean, std in zip(MEAN, STD, strict=True)]),
}
WEIGHTS_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Backbone:
    """Properties of a family of networks.

    `convention` of pixels 0..255 is a key of SCALES, "inside" (the network scales them itself) or
    "standardise" (each image to mean 0 and deviation 1).
    """

    convention: str
    zero_gamma: str | None = None  # pattern of the name of a residual block's last normalisation
    flatten: bool = False  # a trained head sees the flattened feature map instead of its mean
    levels: tuple[str, ...] = ()  # layers whose maps a solved head sees; none: by rule, see levels


FAMILIES = {
    "compact": Backbone(
        "standardise",
        zero_gamma=r"_2_bn$",
        flatten=True,
        levels=("stage1_relu", "stage2_relu"),  # stage3 is too specialised on the training task
    ),
    "VGG": Backbone("caffe"),
    "ResNet": Backbone("caffe", zero_gamma=r"_3_bn$"),
    "DenseNet": Backbone("torch"),
    **dict.fromkeys(("ResNetV2", "InceptionV3", "InceptionResNetV2", "Xception"), Backbone("tf")),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "NASNet"), Backbone("tf")),
    **dict.fromkeys(("MobileNetV3", "ConvNeXt"), Backbone("inside")),
    **dict.fromkeys(("EfficientNet", "EfficientNetV2"), Backbone("inside")),
}


def lookup(name: str) -> Backbone:
    """The family of a network: the longest key of FAMILIES that its name begins with."""
    if re.fullmatch(r"ResNet\d+V2", name):  # the only names with the version at the end
        return FAMILIES["ResNetV2"]
    return FAMILIES[max((family for family in FAMILIES if name.startswith(family)), key=len)]


def build(name: str, input_size: int | None, channels: int, weights: str) -> keras.Model:
    """Build a backbone, without classifier and named "backbone".

    `weights` is "none", "imagenet", or a file: a model of this pipeline (`.keras`), whose backbone
    is loaded, or weights saved by Keras (`.h5`). Without `input_size` it takes images of any size.
    Only compact takes other than 3 `channels`. Raises
    PipelineError if the weights cannot be fetched or do not fit.
    """
    if name == "compact":
        backbone = compact((input_size, input_size, channels))
    else:
        backbone = _from_applications(name, input_size, weights)
    if weights == "none":
        _zero_residual_branches(backbone, lookup(name))
    elif weights != "imagenet":
        _load(backbone, weights)
    return backbone


def compact(shape: tuple[int | None, int | None, int]) -> keras.Model:
    """Build our small residual network: 0.3 M weights, for 48x48 faces and a CPU.

    A basic residual block (He et al. 2016, https://arxiv.org/abs/1512.03385) at each of four
    widths, with max pooling between them. Strided convolutions instead of pooling learn a few
    hundred faces far more slowly: they react to a mouth corner that moves by one pixel.
    """
    inputs = keras.Input(shape, name="pixels")
    x = _convolution(inputs, 16, 3, "stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate((16, 32, 64, 128)):
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
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    x = keras.layers.Conv2D(width, kernel, **options, name=f"{name}_conv")(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn")(x)


def _from_applications(name: str, input_size: int | None, weights: str) -> keras.Model:
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WEIGHTS_TIMEOUT_SECONDS)  # Keras' download has no timeout of its own
    try:
        network = getattr(keras.applications, name)(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_shape=(input_size, input_size, 3),
        )
    except Exception as error:
        # Keras raises a bare Exception if a download fails, a ValueError if it is incomplete.
        failed = isinstance(error, ValueError) or "URL fetch failure" in str(error)
        if weights != "imagenet" or not failed:
            raise
        raise PipelineError(
            f"train.weights = 'imagenet': {one_line(error)}; on a machine without internet put "
            "the file into ~/.keras/models, or use train.weights: none"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
    # Not every constructor has the argument `name`.
    return keras.Model(network.input, network.output, name="backbone")


def _zero_residual_branches(backbone: keras.Model, family: Backbone) -> None:
    # A deep network starts like a shallow one (Goyal et al. 2017, section 5.1,
    # https://arxiv.org/abs/1706.02677).
    for layer in backbone.layers:
        if family.zero_gamma and re.search(family.zero_gamma, layer.name):
            layer.gamma.assign(layer.gamma * 0.0)


def _load(backbone: keras.Model, weights: str) -> None:
    try:
        if weights.endswith(".keras"):
            backbone.set_weights(backbone_of(saving.load_vetted(Path(weights))).get_weights())
        else:
            with saving.complete_weights():
                backbone.load_weights(weights)
            saving.check_finite(backbone)
    except saving.UNREADABLE as error:
        raise PipelineError(
            f"train.weights = {weights!r} does not fit the backbone: {one_line(error)}"
        ) from None


def backbone_of(model: keras.Model) -> keras.Model:
    """The backbone inside a classifier, see `network.build_model`."""
    if any(layer.name == "features" for layer in model.layers):
        model = model.get_layer("features")
    return model.get_layer("backbone")


def suitable_momentum(steps: int) -> float:
    """The momentum that averages BatchNorm statistics over a tenth of an epoch of `steps`.

    At least over 10 and at most over 100 steps. Keras' momentum of 0.99 averages over 100 steps: in
    short epochs these are statistics of weights several epochs old, and validation accuracy
    collapses.
    """
    return 1 - 1 / min(100, max(10, steps / 10))


def set_momentum(backbone: keras.Model, momentum: float) -> None:
    """Set the momentum of the running statistics of all BatchNorm layers."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def set_trainable(backbone: keras.Model, trainable: bool, frozen_batchnorm: bool) -> None:
    """Freeze or unfreeze a backbone.

    Pretrained BatchNorm layers should stay frozen, and so keep their statistics, because small
    batches would degrade them. Calling them with `training=False`, as in Keras' guide on transfer
    learning, has no effect here: a training step overrides it
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
            # Subtracting the batch's mean cancels this bias; training would only let it drift.
            before.bias.trainable = trainable and frozen_batchnorm


def check_weights_file(path: str, sha256: str) -> None:
    """Raise PipelineError if a weights file is missing or has another hash."""
    try:
        actual = files.sha256(Path(path))
    except FileNotFoundError:
        raise PipelineError(f"train.weights = {path!r}: there is no such file") from None
    if actual != sha256:
        raise PipelineError(
            f"train.weights = {path!r} has the SHA-256 {actual}, not train.weights_sha256"
        )
