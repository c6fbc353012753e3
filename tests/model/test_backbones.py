import numpy as np
import pytest
from networks import train_params
from pydantic import ValidationError

from ferpipe.core.errors import PipelineError
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.params.train import BACKBONES, MIN_INPUT


def test_the_choices_are_compact_and_the_networks_of_keras_applications():
    # ConvNeXt's families are modules too, in lower case; the networks are the capitalised names.
    networks = {name for name in dir(keras.applications) if name[0].isupper()}
    assert networks == set(BACKBONES) - {"compact"}
    assert all(backbones.lookup(name) for name in BACKBONES)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        *(("ResNet101", "ResNet"), ("ResNet101V2", "ResNetV2"), ("MobileNet", "MobileNet")),
        *(("MobileNetV3Small", "MobileNetV3"), ("EfficientNetV2B3", "EfficientNetV2")),
    ],
)
def test_the_longest_family_name_wins(name, family):
    assert backbones.lookup(name) is backbones.FAMILIES[family]


@pytest.mark.parametrize(
    "name", ["compact", "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "ResNet50"]
)
def test_each_network_accepts_its_minimum_input_size(name):
    size = MIN_INPUT.get(name, 32)
    assert backbones.build(name, size, 3, "none").output_shape[0] is None
    with pytest.raises(ValidationError, match=f"{size} pixels or more|side from {size} to"):
        train_params(backbone=name, input_size=size - 1)


def test_compact_halves_the_side_three_times_and_starts_without_residuals():
    compact = backbones.build("compact", 48, 1, "none")
    assert compact.output_shape == (None, 6, 6, 128)
    last = [layer for layer in compact.layers if layer.name.endswith("_2_bn")]
    assert len(last) == 4
    assert not any(np.any(layer.gamma) for layer in last)


@pytest.mark.parametrize(
    ("steps", "momentum"),
    [(1, 0.9), (22, 0.9), (100, 0.9), (500, 0.98), (1000, 0.99), (9999, 0.99)],
)
def test_statistics_are_averaged_over_a_tenth_of_an_epoch(steps, momentum):
    compact = backbones.build("compact", 16, 1, "none")
    backbones.set_momentum(compact, backbones.suitable_momentum(steps))
    norms = [x for x in compact.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert [x.momentum for x in norms] == [pytest.approx(momentum)] * len(norms)


def shifted(backbone):
    backbone.set_weights([weight + 1.0 for weight in backbone.get_weights()])
    return backbone


def compact_weights(path):
    saved = shifted(backbones.build("compact", 16, 1, "none"))
    saved.save_weights(path)
    return saved


def mobilenet_weights(path):
    saved = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    saved.save_weights(path)
    return saved


def classifier(path):
    model = with_probabilities(build_model(train_params(), 16, 1, classes=3))
    saved = shifted(model.get_layer("backbone"))
    saving.save(model, path)
    return saved


COMPACT, MOBILENET = ("compact", 16, 1), ("MobileNet", 32, 3)


@pytest.mark.parametrize(
    ("save", "name", "network"),
    [
        (compact_weights, "any.weights.h5", COMPACT),
        (mobilenet_weights, "any.weights.h5", MOBILENET),
        (classifier, "model.keras", COMPACT),
    ],
)
def test_weights_are_loaded_from_a_file(tmp_path, save, name, network):
    saved = save(tmp_path / name)
    loaded = backbones.build(*network, str(tmp_path / name))
    pairs = zip(saved.get_weights(), loaded.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("save", "name", "network"),
    [
        (lambda path: path.write_bytes(b""), "model.keras", COMPACT),
        (lambda path: path.write_bytes(b"not a zip"), "model.keras", COMPACT),
        (classifier, "model.keras", MOBILENET),
        (compact_weights, "any.weights.h5", MOBILENET),
    ],
)
def test_a_file_that_does_not_fit_the_backbone_is_refused(tmp_path, save, name, network):
    save(tmp_path / name)
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build(*network, str(tmp_path / name))


def test_a_missing_weights_file_is_named():
    with pytest.raises(PipelineError, match=r"train.weights = 'nowhere.h5': there is no such file"):
        backbones.check_weights_file("nowhere.h5", "0" * 64)


def test_imagenet_weights_that_cannot_be_fetched_end_in_one_line(tmp_path, monkeypatch):
    # A proxy that refuses: the download fails at once, on any machine.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(PipelineError, match=r"URL fetch failure on https.*\.h5.*put the file into"):
        backbones.build("MobileNet", 224, 3, "imagenet")


@pytest.mark.parametrize(("frozen", "trainable"), [(False, 0), (True, 53)])
def test_biases_before_batchnorm_are_trained_only_if_it_is_frozen(frozen, trainable):
    backbone = backbones.build("ResNet50", 32, 3, "none")
    backbones.set_trainable(backbone, True, frozen_batchnorm=frozen)
    convolutions = (x for x in backbone.layers if isinstance(x, keras.layers.Conv2D))
    assert sum(layer.bias.trainable for layer in convolutions) == trainable
