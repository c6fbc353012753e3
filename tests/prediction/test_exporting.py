"""Exported files, each run in its own runtime: onnxruntime, ai-edge-litert and TensorFlow."""

import json
import zipfile

import numpy as np
import pytest
from networks import bars, published, train_params

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation.card import read_card
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras, prepare
from ferpipe.model.network import build_model, scale, with_probabilities
from ferpipe.params.train import MIN_INPUT
from ferpipe.prediction import exported, exporting

REASON = 'needs `pip install ".[export]"`'
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("tf2onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)
pytest.importorskip("ai_edge_litert", reason=REASON)

CLASSES = ["anger", "happy", "überrascht"]
IMAGES = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 1), np.uint8)
IMAGES[::7, 4:12] = 90  # flat areas have no gradients
# A network of each family, and a layer after which all its kinds of layers have been seen.
FAMILIES = {
    "compact": "stage1_relu",
    "VGG16": "block2_pool",
    "ResNet50": "conv2_block2_out",
    "ResNet50V2": "conv2_block3_out",
    "InceptionV3": "mixed0",
    "InceptionResNetV2": "block35_1_ac",
    "Xception": "block3_sepconv2_bn",
    "MobileNet": "conv_pw_2_relu",
    "MobileNetV2": "block_2_add",
    "MobileNetV3Small": "expanded_conv_4_add",
    "DenseNet121": "conv3_block1_concat",
    "NASNetMobile": "reduction_concat_stem_1",
    "EfficientNetB0": "block2b_add",
    "EfficientNetV2B0": "block4a_project_bn",
    "ConvNeXtTiny": "convnext_tiny_stage_0_block_0_identity",
}


def with_random_weights(model):
    """Replace weights that start as 0 or 1, such as the statistics of normalisations."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        start = keras.ops.convert_to_numpy(variable)
        if start.size and np.all(start == start.flat[0]) and start.flat[0] in (0, 1):
            variable.assign(start * 0.5 + rng.uniform(0.1, 0.9, start.shape))
    return model


def classifier(**changes):
    prepare(seed=1, precision=changes.pop("precision", "float32"))
    model = with_probabilities(build_model(train_params(**changes), 16, 1, len(CLASSES)))
    return with_random_weights(model)


SOLVED = {"head": "solved", "epochs": 0, "mirror_average": True}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a trained model and of one with a solved head, and what Keras predicts."""
    folder, models = tmp_path_factory.mktemp("saved"), {}
    for kind, changes in {"trained": {}, "solved": SOLVED}.items():
        model = classifier(**changes)
        saving.save(model, folder / f"{kind}.keras", CLASSES)
        models[kind] = folder / f"{kind}.keras", saving.predict(model, IMAGES, 35)
    return models


def write(path, folder, form, dtype="uint8", calibration=None):
    target = folder / f"exported{exported.ENDINGS[form]}"
    exporting.write(exporting.load(path), target, form, dtype, CLASSES, calibration)
    return target


@pytest.mark.parametrize(
    ("kind", "form", "dtype"),
    [
        *(("trained", form, dtype) for form in exported.ENDINGS for dtype in exported.DTYPES),
        *(("solved", form, "uint8") for form in exported.ENDINGS),
    ],
)
def test_an_exported_file_predicts_as_keras_for_any_number_of_images(
    saved, tmp_path, kind, form, dtype
):
    path, expected = saved[kind]
    target = write(path, tmp_path, form, dtype)
    assert [file.name for file in tmp_path.iterdir()] == [target.name]
    for count in (1, 5, len(IMAGES)):
        given = exported.predict(exported.load(target, form), IMAGES[:count])
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, expected[:count], atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01


def metadata(path, form):
    """The metadata as docs/use.md reads it."""
    if form == "onnx":
        (entry,) = onnx.load(path).metadata_props
        assert entry.key == "metadata.json"
        return json.loads(entry.value)
    if form == "litert":
        return json.loads(zipfile.ZipFile(path).read("metadata.json"))
    return json.loads((path / "assets.extra/metadata.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", exported.ENDINGS)
def test_the_file_says_what_goes_in_and_comes_out(saved, tmp_path, form):
    target = write(saved["trained"][0], tmp_path, form, "float32")
    assert metadata(target, form) == {
        "classes": CLASSES,
        "input": {
            **{"name": "image", "dtype": "float32", "shape": ["n", 16, 16, 1]},
            **{"minimum": 0, "maximum": 255},
        },
        "output": "probabilities",
    }


def test_the_file_has_the_card_without_what_needs_features(tmp_path):
    source = published(tmp_path, CLASSES, familiar=bars(40, 1, side=24))
    card, target = read_card(source), tmp_path / "out"
    exporting.write(exporting.load(source), target, "saved-model", "uint8", CLASSES, card=card)
    expected = card.model_dump(mode="json")
    assert expected.pop("feature_distance")
    assert metadata(target, "saved-model")["card"] == expected


def test_onnx_names_nothing_after_the_converter(saved, tmp_path):
    model = onnx.load(write(saved["trained"][0], tmp_path, "onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.graph.doc_string) == ("ferpipe", "")
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 16, 16, 1], ["batch", 3]]


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_a_second_export_in_a_process_has_the_same_bytes(saved, tmp_path, form):
    first = write(saved["trained"][0], tmp_path, form).read_bytes()
    assert write(saved["trained"][0], tmp_path, form).read_bytes() == first


EXPORT_ALL = """
import sys
from pathlib import Path
from ferpipe.prediction import exported, exporting
source, folder = map(Path, sys.argv[1:])
for form in ("saved-model", "onnx", "litert"):
    target = folder / f"exported{exported.ENDINGS[form]}"
    exporting.write(exporting.load(source), target, form, "uint8", ["a", "b", "c"])
"""


def test_two_processes_write_the_same_bytes(saved, tmp_path, run_python, files_under):
    folders = [tmp_path / "first", tmp_path / "second, with a longer name"]
    for seed, folder in enumerate(folders, start=1):
        folder.mkdir()
        done = run_python(
            *("-c", EXPORT_ALL, saved["solved"][0], folder),
            timeout=600,
            PYTHONHASHSEED=str(seed),
        )
        assert done.returncode == 0, done.stderr
    first, second = folders
    names = files_under(first)
    assert len(names) == 6 and names == files_under(second)
    assert [
        name for name in names if (first / name).read_bytes() != (second / name).read_bytes()
    ] == []


def test_a_model_trained_in_mixed_precision_is_exported_in_float32(tmp_path):
    saving.save(classifier(precision="mixed_bfloat16"), tmp_path / "mixed.keras", CLASSES)
    saving.save(classifier(), tmp_path / "full.keras", CLASSES)
    stem = saving.load_vetted(tmp_path / "mixed.keras").get_layer("backbone").get_layer("stem_conv")
    assert stem.compute_dtype == "bfloat16"
    expected = saving.predict(exporting.load(tmp_path / "full.keras"), IMAGES, 35)
    keras_in_float32 = saving.predict(exporting.load(tmp_path / "mixed.keras"), IMAGES, 35)
    np.testing.assert_allclose(keras_in_float32, expected, atol=1e-5)
    (tmp_path / "new").mkdir()
    target = write(tmp_path / "mixed.keras", tmp_path / "new", "onnx")
    np.testing.assert_allclose(
        exported.predict(exported.load(target, "onnx"), IMAGES), expected, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["trained", "solved"])
def test_int8_has_smaller_weights_and_about_the_same_probabilities(saved, tmp_path, kind):
    path, expected = saved[kind]
    size = write(path, tmp_path, "litert").stat().st_size
    small = write(path, tmp_path, "litert", calibration=IMAGES)
    assert small.stat().st_size < 0.6 * size
    difference = np.abs(exported.predict(exported.load(small, "litert"), IMAGES) - expected).max()
    assert 1e-6 < difference < 0.1


def beginning(name, cut):
    """The first layers of a network, on the input form of its family, to probabilities."""
    prepare(seed=1)
    side = MIN_INPUT.get(name, 32)
    network = backbones.build(name, side, 3, "none")
    network = keras.Model(network.input, network.get_layer(cut).output, name="network")
    image = keras.Input((40, 40, 3), name="image")
    x = keras.layers.Resizing(side, side, name="resize")(image)
    x = network(scale(x, backbones.lookup(name).convention))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(4, activation="softmax", name="probabilities")(x)
    return keras.Model(image, x, name=name)


@pytest.fixture(scope="module")
def families():
    """The first layers of every family side by side, as one model: converting it takes seconds."""
    parts = [beginning(name, cut) for name, cut in FAMILIES.items()]
    image = keras.Input((40, 40, 3), name="image")
    together = keras.layers.Concatenate(name="together")([part(image) for part in parts])
    model = with_random_weights(keras.Model(image, together, name="families"))
    images = np.random.default_rng(2).integers(0, 256, (3, 40, 40, 3), np.uint8)
    # Compiling so many layers takes longer than running them one by one.
    return (
        model,
        images,
        keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False)),
    )


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_every_family_predicts_as_in_keras(families, tmp_path, form):
    model, images, expected = families
    target = tmp_path / "exported"
    exporting.write(model, target, form, "uint8", CLASSES)
    given = exported.predict(exported.load(target, form), images)
    difference = np.abs(given - expected).max(axis=0).reshape(len(FAMILIES), 4).max(axis=1)
    assert {
        name: float(of_family)
        for name, of_family in zip(FAMILIES, difference, strict=True)
        if not of_family < 1e-4
    } == {}
    assert np.all(np.ptp(expected, axis=0) > 0)


def test_every_family_is_covered():
    assert {backbones.lookup(name) for name in FAMILIES} == set(backbones.FAMILIES.values())


def truncated(path, data):
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path, data: path.unlink(), "there is no model file"),
        (lambda path, data: (path.unlink(), path.mkdir()), "there is no model file"),
        (lambda path, data: path.write_bytes(b""), "is not a model that loads"),
        (lambda path, data: path.write_bytes(data[:-30]), "is not a model that loads"),
        (lambda path, data: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "is not a model that loads"),
        (truncated, "is not a model that loads"),
    ],
)
def test_a_missing_or_damaged_model_is_reported_in_one_line(saved, tmp_path, damage, message):
    path = tmp_path / "model.keras"
    data = saved["trained"][0].read_bytes()
    path.write_bytes(data)
    damage(path, data)
    with pytest.raises(PipelineError, match=message) as error:
        exporting.load(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("shape", [(16, 16), (None, None, 1)])
def test_a_model_of_something_else_than_images_of_one_size_is_refused(tmp_path, shape):
    prepare()
    given = keras.Input(shape, name="given")
    pool = keras.layers.GlobalAveragePooling2D if len(shape) == 3 else keras.layers.Flatten
    model = keras.Model(given, keras.layers.Dense(3, name="out")(pool(name="pool")(given)))
    saving.save(model, tmp_path / "model.keras")
    with pytest.raises(PipelineError, match="is not a classifier of images"):
        exporting.load(tmp_path / "model.keras")
