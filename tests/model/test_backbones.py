import hashlib

import pytest
from networks import train_params
from pydantic import ValidationError

from ferpipe.core.errors import PipelineError
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.params.train import BACKBONES, LEAST_INPUT


@pytest.mark.parametrize("name", BACKBONES)
def test_every_choice_exists_and_has_a_row(name):
    assert name == "compact" or callable(getattr(keras.applications, name))
    assert backbones.lookup(name) in backbones.FAMILIES.values()


def test_every_network_of_keras_applications_is_a_choice():
    networks = {name for name in dir(keras.applications) if name[0].isupper()}
    # ConvNeXt's families are modules too, in lower case; the networks are the capitalised names.
    assert networks == set(BACKBONES) - {"compact"}


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("ResNet101", "ResNet"),
        ("ResNet101V2", "ResNetV2"),
        ("MobileNet", "MobileNet"),
        ("MobileNetV3Small", "MobileNetV3"),
        ("EfficientNetB3", "EfficientNet"),
        ("EfficientNetV2B3", "EfficientNetV2"),
    ],
)
def test_a_network_has_the_row_of_its_own_family(name, family):
    assert backbones.lookup(name) is backbones.FAMILIES[family]


@pytest.mark.parametrize(
    "name", ["compact", "InceptionV3", "InceptionResNetV2", "Xception", "MobileNet", "ResNet50"]
)
def test_each_network_takes_its_smallest_input(name):
    size = LEAST_INPUT.get(name, 32)
    assert backbones.build(name, size, 3, "none").output_shape[0] is None
    with pytest.raises(ValidationError, match=f"{size} pixels or more|or equal to {size}"):
        train_params(backbone=name, input_size=size - 1)


def test_compact_halves_the_side_three_times():
    assert backbones.build("compact", 48, 1, "none").output_shape == (None, 6, 6, 128)


def test_with_random_weights_the_residual_branches_start_at_zero():
    compact = backbones.build("compact", 16, 1, "none")
    gammas = [
        float(keras.ops.max(keras.ops.abs(layer.gamma)))
        for layer in compact.layers
        if layer.name.endswith("_2_bn")
    ]
    assert gammas == [0.0] * 4


@pytest.mark.parametrize(
    ("steps", "momentum"),
    [(1, 0.9), (22, 0.9), (100, 0.9), (500, 0.98), (1000, 0.99), (9999, 0.99)],
)
def test_the_statistics_follow_within_a_tenth_of_an_epoch(steps, momentum):
    compact = backbones.build("compact", 16, 1, "none")
    backbones.set_momentum(compact, steps)
    norms = [x for x in compact.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert [x.momentum for x in norms] == [pytest.approx(momentum)] * len(norms)


def test_a_weights_file_is_loaded(tmp_path):
    made = backbones.build("compact", 16, 1, "none")
    kernel = made.get_layer("stem_conv").kernel
    kernel.assign(kernel + 1.0)
    path = tmp_path / "compact.weights.h5"
    made.save_weights(path)
    loaded = backbones.build("compact", 16, 1, str(path))
    assert keras.ops.all(loaded.get_layer("stem_conv").kernel == kernel)


def test_the_backbone_of_a_saved_model_is_loaded(tmp_path):
    model = with_probabilities(build_model(train_params(), 16, 1, classes=3))
    made = model.get_layer("backbone")
    made.set_weights([weight + 1.0 for weight in made.get_weights()])
    path = tmp_path / "model.keras"
    saving.save(model, path)
    loaded = backbones.build("compact", 16, 1, str(path))
    assert all(
        (a == b).all() for a, b in zip(made.get_weights(), loaded.get_weights(), strict=True)
    )


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_model_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build("compact", 16, 1, str(path))


def test_a_model_with_another_backbone_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    saving.save(with_probabilities(build_model(train_params(), 16, 1, classes=3)), path)
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build("MobileNet", 32, 3, str(path))


def test_a_weights_file_of_keras_applications_is_loaded(tmp_path):
    made = keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3), name="backbone"
    )
    path = tmp_path / "mobilenet.weights.h5"
    made.save_weights(path)
    loaded = backbones.build("MobileNet", 32, 3, str(path))
    assert all(
        (a == b).all() for a, b in zip(made.get_weights(), loaded.get_weights(), strict=True)
    )


def test_a_weights_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "compact.weights.h5"
    backbones.build("compact", 16, 3, "none").save_weights(path)
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build("MobileNet", 32, 3, str(path))


def test_a_weights_file_is_held_against_its_hash(tmp_path):
    path = tmp_path / "any.weights.h5"
    path.write_bytes(b"weights")
    found = hashlib.sha256(b"weights").hexdigest()
    backbones.check_weights_file(str(path), found)
    with pytest.raises(PipelineError, match=f"has the SHA-256 {found}, not train.weights_sha256"):
        backbones.check_weights_file(str(path), "0" * 64)


def test_a_missing_weights_file_is_named():
    with pytest.raises(PipelineError, match=r"train.weights = 'nowhere.h5': there is no such file"):
        backbones.check_weights_file("nowhere.h5", "0" * 64)


def test_imagenet_weights_that_cannot_be_fetched_end_in_one_line(tmp_path, monkeypatch):
    # A proxy that refuses: the download fails at once, on any machine.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(PipelineError, match=r"\.h5 cannot be fetched.*put that file into"):
        backbones.build("MobileNet", 224, 3, "imagenet")


def test_biases_before_normalisation_are_not_trained_unless_statistics_are_kept():
    backbone = backbones.build("ResNet50", 32, 3, "none")

    def trained_biases(frozen_batchnorm):
        backbones.set_trainable(backbone, True, frozen_batchnorm)
        convolutions = (x for x in backbone.layers if isinstance(x, keras.layers.Conv2D))
        return sum(layer.bias.trainable for layer in convolutions)

    assert trained_biases(frozen_batchnorm=False) == 0
    assert trained_biases(frozen_batchnorm=True) == 53
