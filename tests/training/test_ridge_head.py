import zipfile

import numpy as np
import pytest
from networks import NO_AUGMENT, bars, train_params
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ferpipe.core.errors import PipelineError
from ferpipe.data import records
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import log_loss, softmax
from ferpipe.model.network import build_model, with_probabilities
from ferpipe.training.ridge_head import solve, solve_head, views


def clouds(count, seed, features=40):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    middles = np.random.default_rng(9).normal(size=(3, features)) * 0.8
    scales = np.exp(np.linspace(-2, 2, features))  # all above LEAST_DEVIATION of the middle one
    return (middles[labels] + rng.normal(size=(count, features))) * scales + 5, labels


@pytest.mark.parametrize("count", [30, 200])  # fewer and more rows than features
def test_it_is_ridge_regression_on_standardised_features(count):
    rows, labels = clouds(count, seed=1)
    kernel, bias = solve(rows, labels, 3, 0.5, np.ones(count))
    scaled = make_pipeline(StandardScaler(), RidgeClassifier(alpha=0.5 * rows.shape[1]))
    scaled.fit(rows, labels)
    fresh, _ = clouds(50, seed=2)
    # A classifier's targets are -1 and 1, ours 0 and 1.
    np.testing.assert_allclose(2 * (fresh @ kernel + bias) - 1, scaled.decision_function(fresh))


def test_a_feature_of_one_value_does_not_decide():
    rows, labels = clouds(60, seed=1)
    rows[:, 7] = 3.0
    kernel, bias = solve(rows, labels, 3, 0.5, np.ones(60))
    fresh, _ = clouds(50, seed=2)
    changed = fresh.copy()
    fresh[:, 7], changed[:, 7] = 3.0, 4.0
    np.testing.assert_allclose(fresh @ kernel + bias, changed @ kernel + bias, atol=1e-9)


def test_features_that_all_have_one_value_give_the_share_of_each_class():
    labels = np.array([0, 0, 0, 1])
    kernel, bias = solve(np.full((4, 5), 2.0), labels, 2, 0.5, np.ones(4))
    np.testing.assert_allclose(np.full((1, 5), 2.0) @ kernel + bias, [[0.75, 0.25]])


def test_a_row_of_weight_two_is_as_two_rows():
    rows, labels = clouds(60, seed=1)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    # Mirrored about their mean, rows keep mean and deviation however often they come.
    rows, labels = np.concatenate([rows, -rows]), np.tile(labels, 2)
    once = solve(rows, labels, 3, 0.5, np.full(120, 2.0))
    twice = solve(np.tile(rows, (2, 1)), np.tile(labels, 2), 3, 0.5, np.ones(240))
    np.testing.assert_allclose(once[0], twice[0], atol=1e-9)


def solved(**changes):
    params = train_params(head="solved", epochs=0, **changes)
    model = build_model(params, 16, 1, 3)
    row = solve_head(model, params, bars(50, seed=1), bars(30, seed=2), with_choosing=False)
    return model, row


def test_the_head_tells_unseen_images_apart():
    model, row = solved()
    judged = bars(30, seed=3)
    logits = saving.predict(model, judged.images, 8)
    assert np.mean(logits.argmax(axis=1) == judged.labels) == 1
    assert (row.epoch, row.phase, row.learning_rate) == (1, "head", 0.0)


def test_the_row_tells_what_the_model_does():
    model, row = solved()
    choosing = bars(30, seed=2)
    probabilities = softmax(saving.predict(model, choosing.images, 8))
    assert row.val_loss == pytest.approx(log_loss(choosing.labels, probabilities), rel=1e-3)
    assert row.val_accuracy == np.mean(probabilities.argmax(axis=1) == choosing.labels)


def test_mirror_images_count_where_images_are_mirrored():
    mirrored = NO_AUGMENT.model_copy(update={"flip": True})
    kernels = [solved(augment=a)[0].get_layer("logits").kernel for a in (NO_AUGMENT, mirrored)]
    assert not np.allclose(*kernels)


def test_a_mirror_average_gives_a_face_and_its_mirror_image_the_same():
    model, _ = solved(mirror_average=True)
    images = bars(6, seed=4).images
    there, back = (saving.predict(model, x, 8) for x in (images, images[:, :, ::-1]))
    np.testing.assert_allclose(there, back, atol=1e-4)


def test_the_saved_model_needs_nothing_but_keras_and_gives_its_backbone(tmp_path):
    model, _ = solved(mirror_average=True)
    path = tmp_path / "solved.keras"
    saving.save(with_probabilities(model), path, ["c0", "c1", "c2"])
    with zipfile.ZipFile(path) as zipped:
        assert b"ferpipe" not in zipped.read("config.json").replace(b'"ferpipe"', b"")  # its name
    loaded = keras.saving.load_model(path, safe_mode=True)
    images = bars(6, seed=4).images
    expected = softmax(saving.predict(model, images, 8))
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)
    names = [layer.name for layer in backbones.within(loaded).layers]
    assert names == [layer.name for layer in backbones.within(model).layers]


def test_a_solved_models_backbone_is_too_short_to_begin_a_whole_one(tmp_path):
    model, _ = solved()
    path = tmp_path / "solved.keras"
    saving.save(with_probabilities(model), path)
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build("compact", 16, 1, str(path))


def test_views_are_the_images_their_mirror_images_and_changed_copies():
    turned = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0})
    images = bars(5, seed=1).images
    first, second, *copies = views(
        images, train_params(head="solved", augmented_copies=2, augment=turned)
    )
    np.testing.assert_array_equal(first, images)
    np.testing.assert_array_equal(second, images[:, :, ::-1])
    assert [copy.shape for copy in copies] == [images.shape] * 2
    assert not np.array_equal(*copies)
    again = list(views(images, train_params(head="solved", augmented_copies=2, augment=turned)))
    np.testing.assert_array_equal(copies[1], again[3])
    other = list(
        views(images, train_params(head="solved", augmented_copies=2, augment=turned, seed=4))
    )
    assert not np.array_equal(copies[1], other[3])


def heads(*choices):
    """The head's weights that each of some choices of params and arguments gives a network."""
    model = build_model(train_params(head="solved", epochs=0), 16, 1, 3)
    found = []
    for changes, training, teaches in choices:
        params = train_params(head="solved", epochs=0, **changes)
        row = solve_head(model, params, training, bars(30, seed=2), with_choosing=teaches)
        found.append((row, *model.get_layer("logits").get_weights()))
    return found


def test_copies_that_change_nothing_count_like_the_images():
    training = bars(50, seed=1)
    alone, copied = heads(
        ({"ridge": 0.5}, training, False), ({"ridge": 1.0, "augmented_copies": 1}, training, False)
    )
    np.testing.assert_allclose(alone[1], copied[1], atol=1e-4)


def test_refits_on_val_once_it_has_chosen():
    """The row is of the head before, the weights are those of the head on both splits."""
    training, choosing = bars(50, seed=1), bars(30, seed=2)
    both = records.Dataset(
        np.concatenate([training.images, choosing.images]),
        np.concatenate([training.labels, choosing.labels]),
        [*training.paths, *choosing.paths],
    )
    before, after, whole = heads(({}, training, False), ({}, training, True), ({}, both, False))
    assert before[0] == after[0]
    assert not np.allclose(before[1], after[1])
    # Only the temperature differs.
    factor = (after[1] * whole[1]).sum() / (whole[1] ** 2).sum()
    np.testing.assert_allclose(after[1], factor * whole[1], atol=1e-5)


def test_rare_classes_count_for_more_when_balanced():
    params = train_params(head="solved", epochs=0, class_weights="balanced")
    model = build_model(params, 16, 1, 3)
    training = bars(50, seed=1)
    few = np.flatnonzero((training.labels != 2) | (np.arange(50) < 6))
    uneven = records.Dataset(
        training.images[few], training.labels[few], [training.paths[i] for i in few]
    )
    solve_head(model, params, uneven, bars(30, seed=2), with_choosing=False)
    balanced = model.get_layer("logits").get_weights()[1]
    even = params.model_copy(update={"class_weights": "none"})
    solve_head(model, even, uneven, bars(30, 2), with_choosing=False)
    assert not np.allclose(balanced, model.get_layer("logits").get_weights()[1])
