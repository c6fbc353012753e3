import numpy as np
import pytest

from ferpipe.model.backend import keras, prepare
from ferpipe.model.folding import fold_batchnorm


def with_statistics(name, side):
    """A network whose batch normalisations differ from the identity, as after training."""
    prepare(1)
    network = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(side, side, 3)
    )
    rng = np.random.default_rng(1)
    for layer in normalisations(network):
        for variable in layer.weights:
            positive = variable.name in ("gamma", "moving_variance")
            draw = rng.uniform(0.5, 1.5) if positive else rng.normal(0, 0.3, variable.shape)
            variable.assign(np.broadcast_to(draw, variable.shape))
    return network


def normalisations(network):
    return [x for x in network._flatten_layers() if type(x) is keras.layers.BatchNormalization]


@pytest.mark.parametrize(
    ("name", "side", "left"),
    [
        ("MobileNet", 32, 0),
        ("MobileNetV2", 32, 0),
        ("ResNet50", 32, 0),
        ("InceptionV3", 75, 0),  # BatchNormalization without gamma
        ("EfficientNetB0", 32, 0),
        ("Xception", 71, 34),  # after separable convolutions
        ("ResNet50V2", 32, 17),  # before convolutions
    ],
)
def test_a_folded_network_computes_the_same(name, side, left):
    network = with_statistics(name, side)
    folded = fold_batchnorm(network)
    images = np.random.default_rng(2).uniform(-1, 1, (3, side, side, 3)).astype(np.float32)
    expected = network.predict_on_batch(images)
    spread = np.abs(expected).max()
    np.testing.assert_allclose(folded.predict_on_batch(images), expected, atol=1e-4 * spread)
    assert len(normalisations(folded)) == left
    assert len(normalisations(network)) > left  # the network itself is as before


def test_what_others_read_too_is_not_folded():
    prepare(1)
    image = keras.Input((8, 8, 3))
    raw = keras.layers.Conv2D(4, 3, name="read_twice")(image)
    active = keras.layers.Conv2D(4, 3, activation="relu")(image)
    parts = [keras.layers.BatchNormalization()(x) for x in (raw, active)]
    network = keras.Model(image, [raw, *parts])
    assert len(normalisations(fold_batchnorm(network))) == 2


def test_networks_inside_a_model_are_folded():
    inner = with_statistics("MobileNetV2", 32)
    image = keras.Input((32, 32, 3))
    outputs = [inner(image), inner(image[:, ::-1])]
    folded = fold_batchnorm(keras.Model(image, outputs))
    images = np.random.default_rng(2).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    for ours, view in zip(folded.predict_on_batch(images), (images, images[:, ::-1]), strict=True):
        np.testing.assert_allclose(ours, inner.predict_on_batch(view), atol=1e-3)
    assert not normalisations(folded)
