import numpy as np
import pytest
from networks import NO_AUGMENT, bars, schema, train_params

from ferpipe.data import records
from ferpipe.model.backend import prepare
from ferpipe.model.network import build_model
from ferpipe.training import augment, epoch
from ferpipe.training.epoch import batches, class_weights
from ferpipe.training.loop import phases, train
from ferpipe.training.phase import task


def test_an_epoch_shows_every_image_and_fills_the_last_batch():
    epoch = list(batches(train_params(), 0, 50))
    assert [len(batch) for batch in epoch] == [8] * 7
    seen = np.concatenate(epoch)
    assert set(seen) == set(range(50))
    assert list(seen[50:]) == list(seen[:6])
    other = np.concatenate(list(batches(train_params(), 1, 50)))
    assert not np.array_equal(seen, other)


def test_a_batch_larger_than_the_data_is_filled_up():
    (batch,) = batches(train_params(batch_size=64), 0, 20)
    assert len(batch) == 64
    assert set(batch) == set(range(20))


def test_balanced_class_weights_make_every_class_count_the_same():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3, "balanced")
    totals = [weights[label] * np.sum(labels == label) for label in range(3)]
    assert totals == pytest.approx([10 / 3] * 3)
    assert class_weights(labels, 3, "none").tolist() == [1, 1, 1]


def dropout_states(model):
    return [
        np.array(variable).tolist()
        for variable in model.non_trainable_variables
        if variable.path.endswith("seed_generator_state")
    ]


def test_every_dropout_layer_draws_for_itself_and_anew_in_each_epoch():
    params = train_params(backbone="EfficientNetB0", input_size=32)
    prepare(params.seed)
    model = build_model(params, 16, 1, classes=3)
    epoch._seed_dropout(model, params.seed, 0)
    first = dropout_states(model)
    assert len(first) > 5
    assert len({key for key, _ in first}) == len(first)
    epoch._seed_dropout(model, params.seed, 1)
    assert not {key for key, _ in first} & {key for key, _ in dropout_states(model)}
    epoch._seed_dropout(model, params.seed, 0)
    assert dropout_states(model) == first


def test_an_epoch_does_not_depend_on_what_was_drawn_before(monkeypatch):
    params = train_params(augment=NO_AUGMENT.model_copy(update={"rotate": 20.0}))
    drawn = []
    draw = augment.draw

    def noting(rng, *args):
        draws = draw(rng, *args)
        drawn.append(draws.transforms)
        return draws

    monkeypatch.setattr(augment, "draw", noting)
    prepare(params.seed)
    model = build_model(params, 16, 1, classes=3)
    (phase,) = phases(params)
    training = bars(16, seed=1)
    fitted = task(model, params, phase, training, training)
    for number in (0, 1, 1):
        epoch.run_epoch(fitted, params, phase, number, number)
    first, second, again = (np.concatenate(drawn[start : start + 2]) for start in (0, 2, 4))
    assert np.array_equal(second, again)
    assert not np.array_equal(first, second)


def test_the_training_accuracy_counts_images_whatever_the_class_weights():
    training = bars(50, seed=1)
    rare = records.Dataset(training.images[:41], training.labels[:41], training.paths[:41])
    still = {"learning_rate": 1e-12, "weight_decay": 0.0, "dropout": 0.0, "epochs": 1}
    accuracies, losses = [], []
    for how in ("none", "balanced"):
        params = train_params(class_weights=how, **still)
        _, history, _ = train(params, schema(), rare, bars(30, seed=2))
        accuracies.append(history[0].accuracy)
        losses.append(history[0].loss)
    assert accuracies[0] == accuracies[1]
    assert losses[0] != losses[1]
