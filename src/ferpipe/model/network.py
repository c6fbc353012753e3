"""The classifier: from raw images to class logits, with all preprocessing inside the model."""

from __future__ import annotations

from pathlib import Path

from ferpipe.data import records
from ferpipe.model import backbones, devices, hog_layers, saving
from ferpipe.model.backend import keras, prepare
from ferpipe.model.levels import choose_levels
from ferpipe.params.train import Train

# A solved head sees each level averaged over a grid of about this many cells per side.
CELLS = 6


def initial_model(params: Train, schema: records.Schema, images: int) -> keras.Model:
    """Prepare the process and build the classifier for training on a number of images."""
    # A network that is not trained stays in float32: with bfloat16 only its features are computed.
    prepare(params.seed, params.precision if params.epochs else "float32", params.deterministic)
    devices.share(params.batch_size)
    if params.weights not in ("none", "imagenet"):
        backbones.check_weights_file(params.weights, params.weights_sha256 or "")
    model = build_model(params, schema.image_size, schema.channels, len(schema.classes))
    if params.head == "trained" and load_head(model, params.weights, schema.classes):
        print(f"train: {params.weights} has the same classes: its head is loaded too")
    momentum = params.batchnorm_momentum
    if momentum is None:
        momentum = backbones.suitable_momentum(-(-images // params.batch_size))
    backbones.set_momentum(backbones.backbone_of(model), momentum)
    return model


def build_model(params: Train, image_size: int, channels: int, classes: int) -> keras.Model:
    """Build a model from float (n, image_size, image_size, channels), 0..255, to float32 logits.

    Its backbone is the layer "backbone"; with a solved head it is inside the layer "features",
    which is also applied to the mirrored image if `mirror_average`.
    """
    depth = channels if params.backbone == "compact" else 3
    sides = params.input_sizes
    # With several input sizes the backbone takes any.
    backbone = backbones.build(
        params.backbone, sides[0] if len(sides) == 1 else None, depth, params.weights
    )
    image = keras.Input((image_size, image_size, channels), name="image")
    if params.head == "solved":
        features = keras.Model(image, _levels(backbone, params, image), name="features")
        x = features(image)
        if params.mirror_average:
            # The head is linear, so averaging the features averages the logits.
            x = keras.layers.Average(name="sides")([x, features(image[:, :, ::-1])])
    else:
        family = backbones.lookup(params.backbone)
        pool = keras.layers.Flatten if family.flatten else keras.layers.GlobalAveragePooling2D
        x = pool(name="pool")(backbone(_prepared(image, params.backbone, sides[0])))
    x = keras.layers.Dropout(params.dropout, seed=params.seed, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="classifier")


def without_mirror(model: keras.Model) -> keras.Model:
    """The classifier with a solved head, without the average over mirror images; shares layers."""
    image = keras.Input(model.input_shape[1:], name="image")
    x = model.get_layer("dropout")(model.get_layer("features")(image))
    return keras.Model(image, model.get_layer("logits")(x), name="without_mirror")


def _prepared(
    image: keras.KerasTensor, backbone: str, side: int, suffix: str = ""
) -> keras.KerasTensor:
    """The input of a backbone, (n, side, side, 1 or 3), from raw images."""
    x = image
    if side != image.shape[1]:
        # float32 before the backbone: bfloat16 has 8 bits of mantissa, too few for pixel values.
        x = keras.layers.Resizing(side, side, dtype="float32", name=f"resize{suffix}")(x)
    if image.shape[-1] == 1 and backbone != "compact":
        name = f"gray_to_rgb{suffix}"
        x = keras.layers.Concatenate(dtype="float32", name=name)([x, x, x])
    return scale(x, backbones.lookup(backbone).convention, suffix)


def _levels(backbone: keras.Model, params: Train, image: keras.KerasTensor) -> keras.KerasTensor:
    """The features of a solved head, (n, features): HOG and levels at each input size."""
    layers, sides = keras.layers, params.input_sizes
    parts = [layers.Flatten(dtype="float32", name="gradients")(hog_layers.histograms(image))]
    fixed = backbones.lookup(params.backbone).levels
    names = fixed or choose_levels(backbone, sides[0])
    outputs = [backbone.get_layer(name).output for name in names]
    up_to_levels = keras.Model(backbone.input, outputs, name="backbone")
    for side in sides:
        suffix = f"_{side}" if len(sides) > 1 else ""
        maps = up_to_levels(_prepared(image, params.backbone, side, suffix))
        for name, level in zip(names, maps, strict=True):
            size = max(1, level.shape[1] // CELLS)
            pooling = layers.AveragePooling2D(size, dtype="float32", name=f"{name}{suffix}_cells")
            flatten = layers.Flatten(dtype="float32", name=f"{name}{suffix}_flat")
            parts.append(flatten(pooling(level)))
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


def scale(x: keras.KerasTensor, convention: str, suffix: str = "") -> keras.KerasTensor:
    """Scale pixels 0..255 to a backbone's input range, see `backbones.Backbone`."""
    if convention == "inside":
        return x
    if convention == "standardise":
        # Normalising over all axes without learned parameters standardises each image.
        return keras.layers.LayerNormalization(
            axis=[1, 2, 3], center=False, scale=False, dtype="float32", name=f"standardise{suffix}"
        )(x)
    if convention == "caffe":
        x = x[..., ::-1]
    factor, offset = backbones.SCALES[convention]
    return keras.layers.Rescaling(factor, offset, dtype="float32", name=f"scale{suffix}")(x)


def with_probabilities(model: keras.Model, temperature: float = 1.0) -> keras.Model:
    """Add temperature and softmax to the classifier: the model that is saved."""
    calibrate = keras.layers.Rescaling(1 / temperature, dtype="float32", name="temperature")
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(model.input, softmax(calibrate(model.output)), name="ferpipe")
