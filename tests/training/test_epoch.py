import numpy as np
import pytest
from networks import bars, schema, train_params

from ferpipe.model.backend import prepare
from ferpipe.model.network import build_model
from ferpipe.training import epoch
from ferpipe.training.epoch import batches, class_weights
from ferpipe.training.loop import train


def test_batches_contain_every_image_and_the_last_one_is_padded():
    order = batches(train_params(), 0, 50)
    assert order.shape == (7, 8)
    assert set(order.flat) == set(range(50))
    assert list(order.flat)[50:] == list(order.flat)[:6]
    assert not np.array_equal(order, batches(train_params(), 1, 50))
    (batch,) = batches(train_params(batch_size=64), 0, 20)
    assert len(batch) == 64
    assert set(batch) == set(range(20))


def test_balanced_class_weights_give_every_class_the_same_total():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3, "balanced")
    assert np.bincount(labels) * weights == pytest.approx([10 / 3] * 3)
    assert class_weights(labels, 3, "none").tolist() == [1, 1, 1]


def test_every_dropout_layer_has_its_own_seed_in_each_epoch():
    params = train_params(backbone="EfficientNetB0", input_size=32)
    prepare(params.seed)
    model = build_model(params, 16, 1, classes=3)

    def states(number):
        epoch._seed_dropout(model, params.seed, number)
        variables = [v for v in model.non_trainable_variables if "seed_generator_state" in v.path]
        return [tuple(np.array(variable)) for variable in variables]

    first, second, again = states(0), states(1), states(0)
    assert len(first) > 5
    assert len({key for key, _ in first + second}) == 2 * len(first)
    assert again == first


def test_class_weights_change_the_loss_and_not_the_training_accuracy():
    rare = bars(50, seed=1).take(np.arange(41))
    still = {"learning_rate": 1e-12, "weight_decay": 0.0, "dropout": 0.0, "epochs": 1}
    none, balanced = (
        train(train_params(class_weights=mode, **still), schema(), rare, bars(30, seed=2))[1][0]
        for mode in ("none", "balanced")
    )
    assert none.accuracy == balanced.accuracy
    assert none.loss != balanced.loss
