import importlib
from pathlib import Path

import numpy as np
import pytest
from networks import train_params

from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.network import build_model, take_head, with_probabilities
from ferpipe.params.train import LEAST_INPUT

# The smallest network of each family, and the module that holds its preprocess_input.
SMALLEST = [
    ("VGG16", "vgg16"),
    ("VGG19", "vgg19"),
    ("ResNet50", "resnet"),
    ("ResNet50V2", "resnet_v2"),
    ("InceptionV3", "inception_v3"),
    ("InceptionResNetV2", "inception_resnet_v2"),
    ("Xception", "xception"),
    ("MobileNet", "mobilenet"),
    ("MobileNetV2", "mobilenet_v2"),
    ("MobileNetV3Small", "mobilenet_v3"),
    ("DenseNet121", "densenet"),
    ("NASNetMobile", "nasnet"),
    ("EfficientNetB0", "efficientnet"),
    ("EfficientNetV2B0", "efficientnet_v2"),
    ("ConvNeXtTiny", "convnext"),
]


def backbone_input(model):
    """A model from images to what the backbone is called on."""
    call = model.get_layer("backbone")._inbound_nodes[-1]
    return keras.Model(model.input, call.input_tensors[0])


@pytest.mark.parametrize(("name", "module"), SMALLEST)
def test_each_family_gets_its_input_as_keras_prepares_it(name, module):
    size = LEAST_INPUT.get(name, 32)
    model = build_model(train_params(backbone=name, input_size=size), size, 3, classes=4)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    preprocess_input = importlib.import_module(f"keras.applications.{module}").preprocess_input
    expected = preprocess_input(images.copy())
    given = backbone_input(model)(images)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)
    assert model.output_shape == (None, 4)


def test_the_table_of_smallest_networks_covers_every_family():
    covered = {id(backbones.lookup(name)) for name, _ in SMALLEST}
    families = {id(row) for name, row in backbones.FAMILIES.items() if name != "compact"}
    assert covered == families


def test_gray_images_become_three_equal_channels():
    model = build_model(train_params(backbone="MobileNet", input_size=32), 32, 1, classes=3)
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1)).astype(np.float32)
    given = backbone_input(model)(images)
    np.testing.assert_allclose(given, np.repeat(images, 3, axis=3) / 127.5 - 1, atol=1e-5)


def test_compact_gets_each_image_with_mean_0_and_deviation_1():
    model = build_model(train_params(), 16, 1, classes=3)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1)).astype(np.float32)
    given = backbone_input(model)(images)
    given = keras.ops.convert_to_numpy(given)
    np.testing.assert_allclose(given.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(given.std(axis=(1, 2, 3)), 1, atol=1e-3)


def test_images_are_resized_inside_the_model():
    model = build_model(train_params(input_size=32), 16, 1, classes=3)
    assert model.input_shape == (None, 16, 16, 1)
    assert model.get_layer("backbone").input_shape == (None, 32, 32, 1)


def test_the_head_computes_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(train_params(), 16, 1, classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("standardise").compute_dtype == "float32"
    stem = model.get_layer("backbone").get_layer("stem_conv")
    assert (stem.compute_dtype, stem.variable_dtype) == ("bfloat16", "float32")


def test_the_saved_model_tells_probabilities():
    model = with_probabilities(build_model(train_params(), 16, 1, classes=3))
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(keras.ops.sum(model(images), axis=1), 1, rtol=1e-5)


def test_the_head_of_a_model_that_tells_the_same_classes_apart_is_taken(tmp_path):
    saved = build_model(train_params(), 16, 1, classes=3)
    saved.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    path = str(tmp_path / "model.keras")
    saving.save(with_probabilities(saved), Path(path), ["a", "b", "c"])

    def bias(classes, **changes):
        model = build_model(train_params(**changes), 16, 1, classes=len(classes))
        return take_head(model, path, classes), list(np.array(model.get_layer("logits").bias))

    assert bias(["a", "b", "c"]) == (True, [1.0, 2.0, 3.0])
    assert bias(["a", "b", "d"]) == (False, [0.0] * 3)
    assert bias(["a", "b"]) == (False, [0.0] * 2)
    assert bias(["a", "b", "c"], input_size=24) == (False, [0.0] * 3)  # sees other places
    saving.save(with_probabilities(saved), Path(path))
    assert bias(["a", "b", "c"]) == (False, [0.0] * 3)
    # Of somebody else: the same classes, and no layer of that name.
    image = keras.Input((16, 16, 1))
    foreign = keras.layers.Dense(3, name="other")(keras.layers.Flatten(name="flat")(image))
    saving.save(keras.Model(image, foreign, name="foreign"), Path(path), ["a", "b", "c"])
    assert bias(["a", "b", "c"]) == (False, [0.0] * 3)


def test_a_temperature_softens_what_is_saved_and_changes_no_decision(tmp_path):
    model = build_model(train_params(), 16, 1, classes=3)
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 1)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(images))
    saving.save(with_probabilities(model, temperature=2.5), tmp_path / "soft.keras")
    soft = keras.saving.load_model(tmp_path / "soft.keras").predict(images, verbose=0)
    wanted = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(axis=1, keepdims=True)
    assert np.allclose(soft, wanted, atol=1e-6)
