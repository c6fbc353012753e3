import importlib

import numpy as np
import pytest
from networks import schema, train_params

from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import softmax
from ferpipe.model.network import (
    build_model,
    initial_model,
    load_head,
    with_probabilities,
    without_mirror,
)
from ferpipe.params.train import MIN_INPUT

# The smallest network of each family.
SMALLEST = (
    *("VGG16", "VGG19", "ResNet50", "ResNet50V2", "InceptionV3", "InceptionResNetV2", "Xception"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "DenseNet121", "NASNetMobile"),
    *("EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"),
)


def random_images(count, side, channels):
    shape = (count, side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def backbone_input(model, images):
    """What the backbone is called on for some images."""
    call = model.get_layer("backbone")._inbound_nodes[-1]
    given = keras.Model(model.input, call.input_tensors[0])(images)
    return keras.ops.convert_to_numpy(given)


@pytest.mark.parametrize("name", SMALLEST)
def test_each_family_gets_its_input_as_keras_prepares_it(name):
    size = MIN_INPUT.get(name, 32)
    model = build_model(train_params(backbone=name, input_size=size), size, 3, classes=4)
    images = random_images(2, size, 3)
    module = importlib.import_module(getattr(keras.applications, name).__module__)
    expected = module.preprocess_input(images.copy())
    np.testing.assert_allclose(backbone_input(model, images), expected, rtol=1e-4, atol=1e-4)
    assert model.output_shape == (None, 4)


def test_the_smallest_networks_cover_every_family():
    covered = {backbones.lookup(name) for name in ("compact", *SMALLEST)}
    assert covered == set(backbones.FAMILIES.values())


def test_gray_images_become_three_equal_channels():
    model = build_model(train_params(backbone="MobileNet", input_size=32), 32, 1, classes=3)
    images = random_images(1, 32, 1)
    expected = np.repeat(images, 3, axis=3) / 127.5 - 1
    np.testing.assert_allclose(backbone_input(model, images), expected, atol=1e-5)


def test_compact_gets_each_image_with_mean_0_and_deviation_1():
    model = build_model(train_params(), 16, 1, classes=3)
    given = backbone_input(model, random_images(2, 16, 1))
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


@pytest.mark.parametrize(("epochs", "expected"), [(0, "float32"), (1, "bfloat16")])
def test_a_network_that_is_not_trained_stays_in_float32(epochs, expected):
    params = train_params(head="solved", epochs=epochs, precision="mixed_bfloat16")
    try:
        model = initial_model(params, schema(), 8)
    finally:
        keras.config.set_dtype_policy("float32")
    assert backbones.backbone_of(model).get_layer("stem_conv").compute_dtype == expected


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A classifier, and its file with the classes a, b and c."""
    model = build_model(train_params(), 16, 1, classes=3)
    model.get_layer("logits").bias.assign([1.0, 2.0, 3.0])
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    saving.save(with_probabilities(model), path, ["a", "b", "c"])
    return model, path


@pytest.mark.parametrize(
    ("classes", "input_size", "loaded"),
    [
        (["a", "b", "c"], 16, True),
        (["a", "b", "d"], 16, False),
        (["a", "b"], 16, False),
        (["a", "b", "c"], 24, False),  # its flattened map is larger
    ],
)
def test_the_head_of_a_model_with_the_same_classes_and_shape_is_loaded(
    saved, classes, input_size, loaded
):
    model = build_model(train_params(input_size=input_size), 16, 1, classes=len(classes))
    assert load_head(model, str(saved[1]), classes) == loaded
    expected = [1.0, 2.0, 3.0] if loaded else [0.0] * len(classes)
    assert np.array(model.get_layer("logits").bias).tolist() == expected


def test_the_head_of_a_model_without_class_names_or_of_another_kind_is_not_loaded(saved, tmp_path):
    model, _ = saved
    path = tmp_path / "model.keras"
    saving.save(with_probabilities(model), path)
    assert not load_head(model, str(path), ["a", "b", "c"])
    image = keras.Input((16, 16, 1))
    other = keras.layers.Dense(3, name="other")(keras.layers.Flatten(name="flat")(image))
    saving.save(keras.Model(image, other, name="foreign"), path, ["a", "b", "c"])
    assert not load_head(model, str(path), ["a", "b", "c"])


def test_the_saved_model_predicts_probabilities_at_its_temperature(saved, tmp_path):
    model, _ = saved
    images = random_images(5, 16, 1)
    saving.save(with_probabilities(model, temperature=2.5), tmp_path / "soft.keras")
    soft = keras.saving.load_model(tmp_path / "soft.keras").predict(images, verbose=0)
    logits = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(soft, softmax(logits / 2.5), atol=1e-6)


def test_a_solved_head_sees_the_same_backbone_at_every_input_size(tmp_path):
    params = train_params(
        backbone="MobileNetV2", head="solved", epochs=0, input_size=[32, 64], mirror_average=True
    )
    model = build_model(params, 48, 1, 7)
    features = model.get_layer("features")
    single = build_model(params.model_copy(update={"input_size": 64}), 48, 1, 7)
    backbone = backbones.backbone_of(model)
    assert len(backbone.weights) == len(backbones.backbone_of(single).weights)
    levels = [layer.name for layer in features.layers if layer.name.endswith("_flat")]
    assert levels == [
        *("block_6_expand_relu_32_flat", "block_9_add_32_flat"),
        *("block_6_expand_relu_64_flat", "block_9_add_64_flat"),
    ]
    backbones.backbone_of(single).set_weights(backbone.get_weights())
    images = np.random.default_rng(1).integers(0, 256, (3, 48, 48, 1), dtype=np.uint8)
    both = saving.predict(features, images, 3)
    alone = saving.predict(single.get_layer("features"), images, 3)
    hog, at_64 = 7 * 7 * 48, alone.shape[1] - 7 * 7 * 48
    np.testing.assert_allclose(both[:, :hog], alone[:, :hog], atol=1e-5)
    np.testing.assert_allclose(both[:, -at_64:], alone[:, hog:], atol=1e-4)
    saving.save(with_probabilities(model), tmp_path / "model.keras", list("abcdefg"))
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    expected = softmax(saving.predict(model, images, 3))
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)


def test_without_mirror_is_one_side_of_the_average():
    params = train_params(head="solved", epochs=0, mirror_average=True)
    model = build_model(params, 16, 1, classes=3)
    one = without_mirror(model)
    images = random_images(4, 16, 1)
    sides = [saving.predict(one, side, 4) for side in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(np.mean(sides, axis=0), saving.predict(model, images, 4), atol=1e-5)
    assert not np.allclose(*sides)
    assert one.get_layer("logits") is model.get_layer("logits")
