"""The classifier: from raw images to class logits, with all preprocessing inside the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferpipe.data import records
from ferpipe.model import backbones, hog_layers, saving
from ferpipe.model.backend import keras, prepare
from ferpipe.params.train import Train

# A solved head sees each level averaged over a grid of about this many cells per side.
CELLS = 6


def initial_model(params: Train, schema: records.Schema, images: int) -> keras.Model:
    """Prepare the process and build the classifier for training on a number of images."""
    prepare(params.seed, params.precision, params.deterministic)
    if params.weights not in ("none", "imagenet"):
        backbones.check_weights_file(params.weights, params.weights_sha256 or "")
    model = build_model(params, schema.image_size, schema.channels, len(schema.classes))
    if params.head == "trained" and load_head(model, params.weights, schema.classes):
        print(f"train: {params.weights} has the same classes: its head is loaded too")
    if params.weights != "imagenet":  # those keep Keras' momentum, as in the published run
        backbones.set_momentum(backbones.backbone_of(model), -(-images // params.batch_size))
    return model


def build_model(params: Train, image_size: int, channels: int, classes: int) -> keras.Model:
    """Build a model from float (n, image_size, image_size, channels), 0..255, to float32 logits.

    Its backbone is the layer "backbone"; with a solved head it is inside the layer "features",
    which is also applied to the mirrored image if `mirror_average`.
    """
    family = backbones.lookup(params.backbone)
    side, depth = params.input_size, channels if params.backbone == "compact" else 3
    backbone = backbones.build(params.backbone, side, depth, params.weights)

    x = image = keras.Input((image_size, image_size, channels), name="image")
    if side != image_size:
        # float32 before the backbone: bfloat16 has 8 bits of mantissa, too few for pixel values.
        x = keras.layers.Resizing(side, side, dtype="float32", name="resize")(x)
    if channels < depth:
        x = keras.layers.Concatenate(dtype="float32", name="gray_to_rgb")([x, x, x])
    x = scale(x, family.convention)
    if params.head == "solved":
        features = keras.Model(image, _levels(backbone, family.levels, x, image), name="features")
        x = features(image)
        if params.mirror_average:
            # The head is linear, so averaging the features averages the logits.
            x = keras.layers.Average(name="sides")([x, features(image[:, :, ::-1])])
    else:
        pool = keras.layers.Flatten if family.flatten else keras.layers.GlobalAveragePooling2D
        x = pool(name="pool")(backbone(x))
    x = keras.layers.Dropout(params.dropout, seed=params.seed, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="classifier")


def _levels(
    backbone: keras.Model, names: Sequence[str], x: keras.KerasTensor, image: keras.KerasTensor
) -> keras.KerasTensor:
    """The features of a solved head, (n, features): HOG and the backbone's levels."""
    layers = keras.layers
    parts = [layers.Flatten(dtype="float32", name="gradients")(hog_layers.histograms(image))]
    if not names:
        parts.append(layers.GlobalAveragePooling2D(dtype="float32", name="means")(backbone(x)))
    else:
        outputs = [backbone.get_layer(name).output for name in names]
        maps = keras.Model(backbone.input, outputs, name="backbone")(x)
        for name, level in zip(names, maps, strict=True):
            size = max(1, level.shape[1] // CELLS)
            cells = layers.AveragePooling2D(size, dtype="float32", name=f"{name}_cells")(level)
            parts.append(layers.Flatten(dtype="float32", name=f"{name}_flat")(cells))
    return layers.Concatenate(dtype="float32", name="levels")(parts)


def load_head(model: keras.Model, weights: str, classes: list[str]) -> bool:
    """Load the head of a saved model if classes and shape are the same; return whether it was."""
    if not weights.endswith(".keras") or saving.classes(Path(weights)) != classes:
        return False
    head = model.get_layer("logits").weights
    saved = next((x for x in saving.load_vetted(Path(weights)).layers if x.name == "logits"), None)
    if saved is None or [x.shape for x in saved.weights] != [x.shape for x in head]:
        return False
    model.get_layer("logits").set_weights(saved.get_weights())
    return True


def scale(x: keras.KerasTensor, convention: str) -> keras.KerasTensor:
    """Scale pixels 0..255 to a backbone's input range, see `backbones.Backbone`."""
    if convention == "inside":
        return x
    if convention == "standardise":
        # Normalising over all axes without learned parameters standardises each image.
        return keras.layers.LayerNormalization(
            axis=[1, 2, 3], center=False, scale=False, dtype="float32", name="standardise"
        )(x)
    if convention == "caffe":
        x = x[..., ::-1]
    factor, offset = backbones.SCALES[convention]
    return keras.layers.Rescaling(factor, offset, dtype="float32", name="scale")(x)


def with_probabilities(model: keras.Model, temperature: float = 1.0) -> keras.Model:
    """Add temperature and softmax to the classifier: the model that is saved."""
    calibrate = keras.layers.Rescaling(1 / temperature, dtype="float32", name="temperature")
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(model.input, softmax(calibrate(model.output)), name="ferpipe")
