"""The network: raw images in, class logits out. Everything between is inside the model."""

from __future__ import annotations

from pathlib import Path

from ferpipe.data import records
from ferpipe.model import backbones, hog_layers, saving
from ferpipe.model.backend import keras, prepare
from ferpipe.params.train import Train

# A solved head sees each level in about so many cells along a side of the face.
CELLS = 6


def initial_model(params: Train, schema: records.Schema, images: int) -> keras.Model:
    """Make the process ready, and build the classifier as it is before its first step.

    Args:
        params: the section `train`.
        schema: of the records.
        images: how many there are to train on.

    Raises:
        PipelineError: the weights file is not the pinned one; and see `backbones.build`.
    """
    prepare(params.seed, params.precision, params.deterministic)
    if params.weights not in ("none", "imagenet"):
        backbones.check_weights_file(params.weights, params.weights_sha256 or "")
    model = build_model(params, schema.image_size, schema.channels, len(schema.classes))
    if params.head == "trained" and take_head(model, params.weights, schema.classes):
        print(f"train: {params.weights} tells the same classes apart: its head is taken too")
    if params.weights != "imagenet":  # those keep Keras' momentum, as in the published run
        steps = -(-images // params.batch_size)
        backbones.set_momentum(backbones.within(model), steps)
    return model


def build_model(params: Train, image_size: int, channels: int, classes: int) -> keras.Model:
    """Build the classifier.

    Resizing, gray to RGB and scaling happen inside, so whoever loads the saved model feeds it raw
    images.

    Args:
        params: the section `train`.
        image_size: side of the cached images, in pixels.
        channels: 1 or 3.
        classes: number of classes.

    Returns:
        A model from float (n, image_size, image_size, channels), values 0..255, to float32
        logits (n, classes). Its backbone is the layer "backbone"; under a solved head it lies in
        the layer "features", through which a mirrored image goes too if `mirror_average` is set.

    Raises:
        PipelineError: see `backbones.build`.
    """
    row = backbones.lookup(params.backbone)
    wants = channels if params.backbone == "compact" else 3
    backbone = backbones.build(params.backbone, params.input_size, wants, params.weights)

    image = keras.Input((image_size, image_size, channels), name="image")
    x = image
    if params.input_size != image_size:
        side = params.input_size
        # float32 before the backbone: 8 bits of bfloat16 mantissa would blur the pixel values.
        x = keras.layers.Resizing(side, side, dtype="float32", name="resize")(x)
    if channels < wants:
        x = keras.layers.Concatenate(dtype="float32", name="gray_to_rgb")([x, x, x])
    x = scale(x, row.convention)
    if params.head == "solved":
        features = keras.Model(image, _levels(backbone, row, x, image), name="features")
        x = features(image)
        if params.mirror_average:
            # The head is linear, so the mean of both sides' features gives their mean logits.
            x = keras.layers.Average(name="sides")([x, features(image[:, :, ::-1])])
    else:
        pool = keras.layers.Flatten if row.keeps_places else keras.layers.GlobalAveragePooling2D
        x = pool(name="pool")(backbone(x))
    x = keras.layers.Dropout(params.dropout, seed=params.seed, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="classifier")


def _levels(
    backbone: keras.Model, row: backbones.Backbone, x: keras.KerasTensor, image: keras.KerasTensor
) -> keras.KerasTensor:
    """What a solved head sees: (n, features)."""
    layers = keras.layers
    found = [layers.Flatten(dtype="float32", name="gradients")(hog_layers.histograms(image))]
    if not row.levels:
        found.append(layers.GlobalAveragePooling2D(dtype="float32", name="means")(backbone(x)))
    else:
        outputs = [backbone.get_layer(name).output for name in row.levels]
        maps = keras.Model(backbone.input, outputs, name="backbone")(x)
        for name, level in zip(row.levels, maps, strict=True):
            size = max(1, level.shape[1] // CELLS)
            cells = layers.AveragePooling2D(size, dtype="float32", name=f"{name}_cells")(level)
            found.append(layers.Flatten(dtype="float32", name=f"{name}_flat")(cells))
    return layers.Concatenate(dtype="float32", name="levels")(found)


def take_head(model: keras.Model, weights: str, classes: list[str]) -> bool:
    """Let the head begin as that of a saved model, if it tells the same classes apart.

    Args:
        model: the classifier, see `build_model`.
        weights: the section's key; a model of this pipeline ends in `.keras`.
        classes: what `model` is to tell apart.

    Returns:
        Whether it did.
    """
    if not weights.endswith(".keras") or saving.classes(Path(weights)) != classes:
        return False
    head = model.get_layer("logits")
    shapes = [array.shape for array in head.get_weights()]
    for layer in saving.load_vetted(Path(weights)).layers:
        if layer.name == "logits" and [array.shape for array in layer.get_weights()] == shapes:
            head.set_weights(layer.get_weights())
            return True
    return False


def scale(x: keras.KerasTensor, convention: str) -> keras.KerasTensor:
    """Bring pixels 0..255 to what a backbone expects; see `backbones.Backbone`."""
    rescaling = keras.layers.Rescaling
    match convention:
        case "standardise":
            # Normalising over all axes without learned parameters standardises each image.
            return keras.layers.LayerNormalization(
                axis=[1, 2, 3], center=False, scale=False, dtype="float32", name="standardise"
            )(x)
        case "caffe":
            offset = [-mean for mean in backbones.CAFFE_MEAN]
            return rescaling(1.0, offset, dtype="float32", name="scale")(x[..., ::-1])
        case "tf":
            return rescaling(1 / 127.5, -1.0, dtype="float32", name="scale")(x)
        case "torch":
            factor = [1 / std for std in backbones.STD]
            offset = [-mean / std for mean, std in zip(backbones.MEAN, backbones.STD, strict=True)]
            return rescaling(factor, offset, dtype="float32", name="scale")(x)
        case _:
            return x


def with_probabilities(model: keras.Model, temperature: float = 1.0) -> keras.Model:
    """Return the model that is saved: the same layers, calibrated, with a softmax at the end.

    Args:
        model: the classifier, see `build_model`.
        temperature: what its logits are divided by.
    """
    calibrate = keras.layers.Rescaling(1 / temperature, dtype="float32", name="temperature")
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(model.input, softmax(calibrate(model.output)), name="ferpipe")
