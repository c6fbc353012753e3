from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from networks import bars, train_params

from ferpipe.evaluation import gradcam
from ferpipe.model.backend import keras, prepare
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.training.ridge_head import solve_head


def network(side=16, **changes):
    prepare(seed=1)
    classifier = build_model(train_params(**changes), side, 1, 3)
    head = classifier.get_layer("logits")
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(size=weights.shape) for weights in head.get_weights()])
    return with_probabilities(classifier)


def by_differentiation(model, images, classes, maps, tail):
    """The same heat, from TensorFlow's own gradient of the class's logit by the map."""
    values = tf.convert_to_tensor(keras.Model(model.input, maps)(images, training=False))
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = tf.reduce_sum(tf.gather(tail(values), classes, axis=1, batch_dims=1))
    heat = (values * tape.gradient(score, values)).numpy().sum(axis=-1)
    return np.stack([gradcam._enlarged(one, images.shape[1]) for one in heat])


# The head of the first weighs positions, that of the second averages them.
@pytest.mark.parametrize(("backbone", "size"), [("compact", 16), ("MobileNetV2", 64)])
def test_the_heads_kernel_is_the_gradient(backbone, size):
    model = network(backbone=backbone, input_size=size)
    images = bars(4, seed=1).images
    classes = np.array([0, 1, 2, 0])
    pool = model.get_layer("pool")
    tail = keras.Model(pool.input, model.get_layer("logits").output)
    expected = by_differentiation(model, images, classes, pool.input, tail)
    expected = [gradcam._scaled(heat).astype(int) for heat in expected]
    heat = gradcam.heat_maps(model, images, classes)
    assert heat.dtype == np.uint8
    assert np.abs(heat.astype(int) - expected).max() <= 1


def test_all_levels_of_a_solved_head_count():
    model = network(side=48, head="solved", input_size=[32, 64], backbone="MobileNetV2")
    images, classes = bars(3, seed=1, side=48).images, np.array([0, 1, 2])
    features = model.get_layer("features")
    maps = [part._keras_history.operation.input for part in features.get_layer("levels").input]
    assert len(maps) == 5  # HOG, which is left out, and two levels at two sizes
    kernel = model.get_layer("logits").kernel.numpy()
    total, start = 0, int(np.prod(maps[0].shape[1:]))
    for cells in maps[1:]:
        size = int(np.prod(cells.shape[1:]))

        def tail(values, part=kernel[start : start + size], size=size):
            return tf.reshape(values, [-1, size]) @ part

        start += size
        inner = keras.Model(features.input, cells)
        total = total + by_differentiation(inner, images, classes, inner.output, tail)
    assert start == len(kernel)
    expected = np.stack([gradcam._scaled(heat) for heat in total]).astype(int)
    # At 64 px cells average two pixels, which is smoother than the map itself.
    assert np.abs(gradcam.heat_maps(model, images, classes).astype(int) - expected).mean() < 8


@pytest.mark.parametrize("backbone", ["compact", "MobileNetV2"])
def test_both_sides_of_a_solved_head_count(backbone):
    settings = {"side": 48, "head": "solved", "input_size": 48, "backbone": backbone}
    image = np.zeros((1, 48, 48, 1), np.uint8)
    image[0, 10:20, 6:16] = 255
    both = np.concatenate([image, image[:, :, ::-1]])
    model = network(mirror_average=True, **settings)
    heat = gradcam.heat_maps(model, both, np.array([1, 1])).astype(int)
    # The logits are those of the mirror image too, and so are the positions that count.
    assert np.abs(heat[0] - heat[1][:, ::-1]).max() <= 1
    alone = gradcam.heat_maps(network(**settings), image, np.array([1])).astype(int)
    assert np.abs(alone[0] - heat[0]).max() > 10


def test_heat_is_highest_where_the_classes_differ():
    prepare(seed=1)
    params = train_params(head="solved", input_size=48)
    classifier = build_model(params, 48, 1, 3)
    # In each image one of three bars is bright: class c in rows 2 + 5c to 6 + 5c of 16.
    small = bars(60, seed=3)
    images = np.kron(small.images, np.ones((1, 3, 3, 1), np.uint8))
    training = replace(small, images=images)
    solve_head(classifier, params, training, training, refit=False)
    maps = gradcam.heat_maps(with_probabilities(classifier), images[:9], small.labels[:9])
    from_top = np.arange(48) - 15 * small.labels[:9, np.newaxis]
    near = (from_top >= 0) & (from_top < 24)  # rows of the bar, and of a cell on either side
    assert maps[near].mean() > 1.25 * maps[~near].mean()


def test_positions_that_no_whole_cell_covers_do_not_count():
    kernel = np.arange(2 * 2 * 1 * 1, dtype=np.float32).reshape(4, 1)
    shares = gradcam._position_weights(kernel, (2, 2, 1), (5, 5))[:, :, 0, 0]
    assert shares[:4, :4].tolist() == np.kron([[0, 1], [2, 3]], np.ones((2, 2)) / 4).tolist()
    assert not shares[4].any()
    assert not shares[:, 4].any()
