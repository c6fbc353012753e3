import numpy as np
import pytest
import tensorflow as tf
from networks import train_params

from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.training import cpu_kernels

layers = keras.layers
CONVOLUTIONS = {
    "1x1": {"kernel_size": 1},
    "1x1, every other pixel": {"kernel_size": 1, "strides": 2},
    "1x1, followed by relu": {"kernel_size": 1, "activation": "relu"},
    "3x3 on a small map": {"kernel_size": 3, "padding": "same"},
    "3x3 without padding": {"kernel_size": 3},
    "3x3, every other pixel": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "7x1": {"kernel_size": (7, 1), "padding": "same"},
    "dilated": {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
    "in groups": {"kernel_size": 1, "groups": 2},
}


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def pass_through(layer, side, training=True):
    """Outputs, gradients and state of one layer on a map of side x side x 4."""
    prepare(seed=3)
    inputs = keras.Input((side, side, 4))
    model = keras.Model(inputs, layer(inputs))
    for weight in layer.weights:
        weight.assign(np.abs(random(*weight.shape)))

    def run():
        x = tf.constant(random(6, side, side, 4))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=training)
            loss = tf.reduce_sum(y * random(*y.shape))
        gradients = tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])
        return [np.array(value) for value in (y, *gradients, *layer.weights)]

    start = layer.get_weights()
    stock = run()
    layer.set_weights(start)
    cpu_kernels.use_faster(model)
    faster = run(), type(layer)
    cpu_kernels.use_stock(model)
    return stock, *faster, type(layer)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_and_its_gradients_are_those_of_keras(case):
    layer = layers.Conv2D(8, **CONVOLUTIONS[case])
    stock, faster, used, after = pass_through(layer, side=7)
    assert used is (layers.Conv2D if case in ("dilated", "in groups") else cpu_kernels.Convolution)
    assert after is layers.Conv2D
    for expected, found in zip(stock, faster, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_large_map_keeps_the_convolutions_own_gradient():
    stock, faster, *_ = pass_through(layers.Conv2D(8, 3, padding="same"), side=9)
    for expected, found in zip(stock, faster, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("learned", ({}, {"scale": False}, {"center": False}))
@pytest.mark.parametrize("training", (True, False))
def test_a_normalisation_its_gradients_and_statistics_are_those_of_keras(learned, training):
    layer = layers.BatchNormalization(momentum=0.7, epsilon=1e-3, **learned)
    stock, faster, used, after = pass_through(layer, side=5, training=training)
    assert used is cpu_kernels.BatchNormalization
    assert after is layers.BatchNormalization
    for expected, found in zip(stock, faster, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_frozen_normalisation_keeps_its_statistics_while_training():
    layer = layers.BatchNormalization(trainable=False)
    stock, faster, used, _ = pass_through(layer, side=5)
    assert used is cpu_kernels.BatchNormalization
    for expected, found in zip(stock, faster, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("clip", (None, 0.5, 1e6))
@pytest.mark.parametrize("decay", (None, 0.1))
def test_the_optimizer_steps_as_keras_does(clip, decay):
    ends = []
    for kind in (keras.optimizers.AdamW, cpu_kernels.AdamW):
        variables = [
            keras.Variable(random(3, 5), name="kernel"),
            keras.Variable(random(5), name="bias"),
        ]
        optimizer = kind(weight_decay=0.0, global_clipnorm=clip)
        optimizer.weight_decay = decay
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.build(variables)
        for step in range(4):
            optimizer.learning_rate = 0.1 / (step + 1)
            gradients = [tf.constant(random(*v.shape) * (step + 1)) for v in variables]
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        ends.append([np.array(variable) for variable in (*variables, *optimizer.variables)])
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


def test_the_saved_model_knows_nothing_of_faster_kernels(tmp_path):
    files = []
    for faster in (False, True):
        prepare(seed=1)
        model = build_model(train_params(), 16, 1, classes=3)
        if faster:
            cpu_kernels.use_faster(model)
            cpu_kernels.use_stock(model)
        saving.save(with_probabilities(model), tmp_path / f"{faster}.keras")
        files.append((tmp_path / f"{faster}.keras").read_bytes())
    assert files[0] == files[1]
