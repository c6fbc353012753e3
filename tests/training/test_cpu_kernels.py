import numpy as np
import pytest
from networks import train_params

from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare, tf
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.training import cpu_kernels

layers = keras.layers


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def assert_same_results(layer, side, faster, training=True):
    """Compare outputs, gradients and state of a layer, stock and faster, on side x side x 4."""
    prepare(seed=3)
    inputs = keras.Input((side, side, 4))
    model = keras.Model(inputs, layer(inputs))
    stock = type(layer)
    start = [np.abs(random(*weight.shape)) for weight in layer.weights]

    def run():
        layer.set_weights(start)
        x = tf.constant(random(6, side, side, 4))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=training)
            loss = tf.reduce_sum(y * random(*y.shape))
        gradients = tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])
        return [np.array(value) for value in (y, *gradients, *layer.weights)]

    expected = run()
    cpu_kernels.use_faster(model)
    assert type(layer) is faster
    for actual, value in zip(run(), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)
    cpu_kernels.use_stock(model)
    assert type(layer) is stock


@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({"kernel_size": 1}, 7),
        ({"kernel_size": 1, "strides": 2}, 7),
        ({"kernel_size": 1, "strides": 2}, 8),
        ({"kernel_size": 1, "strides": 3}, 8),
        ({"kernel_size": 1, "activation": "relu"}, 7),
        ({"kernel_size": 3, "padding": "same"}, 7),
        ({"kernel_size": 3, "padding": "same"}, 9),  # too large for our gradient
        ({"kernel_size": 3}, 7),
        ({"kernel_size": 3, "strides": 2, "padding": "same"}, 7),
        ({"kernel_size": (7, 1), "padding": "same"}, 7),
    ],
)
def test_convolutions_have_keras_results(options, side):
    assert_same_results(layers.Conv2D(8, **options), side, cpu_kernels.Convolution)


@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 3, "padding": "same", "dilation_rate": 2}, {"kernel_size": 1, "groups": 2}],
)
def test_dilated_and_grouped_convolutions_stay_stock(options):
    assert_same_results(layers.Conv2D(8, **options), 7, layers.Conv2D)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"trainable": False}])
@pytest.mark.parametrize("training", [True, False])
def test_normalisation_has_keras_results_and_statistics(options, training):
    layer = layers.BatchNormalization(momentum=0.7, epsilon=1e-3, **options)
    assert_same_results(layer, 5, cpu_kernels.BatchNormalization, training)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("training", [True, False])
def test_a_bias_that_is_not_trained_is_left_to_the_normalisation(training, policy):
    prepare(seed=3, precision=policy)
    inputs = keras.Input((6, 6, 4))
    convolution, normalisation = layers.Conv2D(8, 3), layers.BatchNormalization(momentum=0.7)
    model = keras.Model(inputs, normalisation(convolution(inputs)))
    convolution.bias.trainable = False
    start = [np.abs(random(*weight.shape)) for weight in model.weights]
    x = random(5, 6, 6, 4)

    def run():
        model.set_weights(start)
        y = np.array(tf.cast(model(x, training=training), tf.float32))
        return y, np.array(normalisation.moving_mean), np.array(normalisation.moving_variance)

    expected = run()
    cpu_kernels.use_faster(model)
    assert type(convolution) is cpu_kernels.ConvolutionWithoutBias
    tolerance = 1e-4 if policy == "float32" else 0.05
    for actual, value in zip(run(), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=tolerance, atol=tolerance)
    convolution.bias.trainable = True
    cpu_kernels.use_faster(model)
    assert type(convolution) is cpu_kernels.Convolution
    cpu_kernels.use_stock(model)
    assert type(convolution) is layers.Conv2D


def test_the_saved_model_has_stock_layers(tmp_path):
    prepare(seed=1)
    model = build_model(train_params(), 16, 1, classes=3)
    saving.save(with_probabilities(model), tmp_path / "stock.keras")
    cpu_kernels.use_faster(model)
    cpu_kernels.use_stock(model)
    saving.save(with_probabilities(model), tmp_path / "again.keras")
    assert (tmp_path / "stock.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()
