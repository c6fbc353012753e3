import re

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
from ferpipe.training import ridge, ridge_head
from ferpipe.training.ridge import Ridge
from ferpipe.training.ridge_head import solve_head, with_augmented_copies

TRAINING, VALIDATION = bars(50, seed=1), bars(30, seed=2)


def clouds(count, seed, features=40):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(9).normal(size=(3, features)) * 0.8
    scales = np.exp(np.linspace(-2, 2, features))  # all above MIN_DEVIATION of the median
    return (centres[labels] + rng.normal(size=(count, features))) * scales + 5, labels


def solve(rows, labels, classes, ridge, weights, capacity=None, block=17):
    """Kernel and bias from rows that are added in blocks."""
    problem = Ridge(rows.shape[1], classes, capacity or len(rows))
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        problem.add(rows[part].astype(np.float32), labels[part], weights[part])
    return problem.solve(ridge)


@pytest.mark.parametrize("count", [30, 200])  # fewer and more rows than features
def test_it_is_ridge_regression_on_standardised_features(count):
    rows, labels = clouds(count, seed=1)
    kernel, bias = solve(rows, labels, 3, 0.5, np.ones(count))
    reference = make_pipeline(StandardScaler(), RidgeClassifier(alpha=0.5 * rows.shape[1]))
    reference.fit(rows, labels)
    unseen, _ = clouds(50, seed=2)
    # A classifier's targets are -1 and 1, ours 0 and 1.
    expected = reference.decision_function(unseen)
    np.testing.assert_allclose(2 * (unseen @ kernel + bias) - 1, expected, atol=1e-5)


def test_primal_and_dual_agree_whatever_the_blocks_and_however_often_they_are_solved(monkeypatch):
    monkeypatch.setattr(ridge, "BLOCK", 7)
    rows, labels = clouds(90, seed=1)
    weights = np.linspace(0.5, 2, 90)
    dual = Ridge(40, 3, 39)
    primal = Ridge(40, 3, 90)
    for problem in (dual, primal):
        problem.add(rows[:39].astype(np.float32), labels[:39], weights[:39])
    for penalty in (0.2, 3.0, 0.2):
        for ours, theirs in zip(dual.solve(penalty), primal.solve(penalty), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    primal.add(rows[39:].astype(np.float32), labels[39:], weights[39:])
    once = solve(rows, labels, 3, 0.2, weights, block=90)
    np.testing.assert_allclose(primal.solve(0.2)[0], once[0], atol=1e-5)


def test_constant_features_have_no_influence_and_alone_give_the_frequency_of_each_class():
    rows, labels = clouds(60, seed=1)
    rows[:, 7] = 3.0
    kernel, _ = solve(rows, labels, 3, 0.5, np.ones(60))
    np.testing.assert_allclose(kernel[7], 0, atol=1e-9)
    labels = np.array([0, 0, 0, 1])
    kernel, bias = solve(np.full((4, 5), 2.0), labels, 2, 0.5, np.ones(4))
    np.testing.assert_allclose(np.full((1, 5), 2.0) @ kernel + bias, [[0.75, 0.25]])


def test_a_row_of_weight_two_counts_like_two_rows():
    rows, labels = clouds(60, seed=1)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    # Mirrored about their mean, repeated rows have the same mean and deviation.
    rows, labels = np.concatenate([rows, -rows]), np.tile(labels, 2)
    once = solve(rows, labels, 3, 0.5, np.full(120, 2.0))
    twice = solve(np.tile(rows, (2, 1)), np.tile(labels, 2), 3, 0.5, np.ones(240))
    np.testing.assert_allclose(once[0], twice[0], atol=1e-6)


def test_auto_chooses_the_ridge_with_the_smallest_error_on_validation(network, capsys):
    _, kernel, _ = solved(network, ridge="auto")
    chosen = float(
        re.search(r"ridge (\S+) has the smallest error on 30 images", capsys.readouterr().out)[1]
    )
    _, same, _ = solved(network, ridge=chosen)
    np.testing.assert_allclose(kernel, same, rtol=1e-3, atol=1e-5)
    assert chosen == pytest.approx(best_on_validation(network), rel=0.01)


def best_on_validation(network):
    """The penalty of ridge_head.RIDGES whose head has the smallest squared error on VALIDATION."""
    features = network.get_layer("features")
    train, val = (saving.predict(features, split.images, 8) for split in (TRAINING, VALIDATION))
    errors = {}
    for penalty in ridge_head.RIDGES:
        kernel, bias = solve(train, TRAINING.labels, 3, penalty, np.ones(50))
        errors[penalty] = np.mean((val @ kernel + bias - np.eye(3)[VALIDATION.labels]) ** 2)
    return min(errors, key=errors.get)


@pytest.fixture(scope="module")
def network():
    """A classifier whose backbone stays the same while heads are solved."""
    return build_model(train_params(head="solved", epochs=0), 16, 1, 3)


def solved(network, training=TRAINING, refit=False, **changes):
    """The history row, kernel and bias of a solved head."""
    params = train_params(head="solved", epochs=0, **changes)
    row = solve_head(network, params, training, VALIDATION, refit=refit)
    return row, *network.get_layer("logits").get_weights()


def test_the_head_generalises_and_its_row_is_of_the_validation_split(network):
    row, *_ = solved(network)
    unseen = bars(30, seed=3)
    assert (saving.predict(network, unseen.images, 8).argmax(axis=1) == unseen.labels).all()
    assert (row.epoch, row.phase, row.learning_rate) == (1, "head", 0.0)
    probabilities = softmax(saving.predict(network, VALIDATION.images, 8))
    assert row.val_loss == pytest.approx(log_loss(VALIDATION.labels, probabilities), rel=1e-3)
    assert row.val_accuracy == np.mean(probabilities.argmax(axis=1) == VALIDATION.labels)


def test_mirror_images_and_class_weights_change_the_head(network):
    uneven = TRAINING.take(np.flatnonzero((TRAINING.labels != 2) | (np.arange(50) < 6)))
    flip = NO_AUGMENT.model_copy(update={"flip": True})
    _, kernel, _ = solved(network, uneven)
    for changes in ({"augment": flip}, {"class_weights": "balanced"}):
        assert not np.allclose(kernel, solved(network, uneven, **changes)[1])


def test_the_saved_mirror_average_is_symmetric_and_needs_nothing_but_keras(tmp_path):
    model = build_model(train_params(head="solved", epochs=0, mirror_average=True), 16, 1, 3)
    solved(model)
    saving.save(with_probabilities(model), tmp_path / "solved.keras", ["c0", "c1", "c2"])
    loaded = keras.saving.load_model(tmp_path / "solved.keras", safe_mode=True)
    images = bars(6, seed=4).images
    probabilities = loaded.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities, softmax(saving.predict(model, images, 8)), atol=1e-5)
    mirrored = loaded.predict(images[:, :, ::-1], verbose=0)
    np.testing.assert_allclose(probabilities, mirrored, atol=1e-4)
    names = [layer.name for layer in backbones.backbone_of(loaded).layers]
    assert names == [layer.name for layer in backbones.backbone_of(model).layers]
    # It ends at the last level that the head sees.
    with pytest.raises(PipelineError, match="does not fit the backbone"):
        backbones.build("compact", 16, 1, str(tmp_path / "solved.keras"))


def test_augmented_copies_follow_the_images_and_their_mirror_images():
    images = bars(5, seed=1).images
    rotated = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0})

    def copies(**changes):
        params = train_params(head="solved", augmented_copies=2, augment=rotated, **changes)
        return list(with_augmented_copies(images, params))

    first, mirrored, *augmented = copies()
    np.testing.assert_array_equal(first, images)
    np.testing.assert_array_equal(mirrored, images[:, :, ::-1])
    assert [copy.shape for copy in augmented] == [images.shape] * 2
    assert not np.array_equal(*augmented)
    np.testing.assert_array_equal(augmented[1], copies()[3])
    assert not np.array_equal(augmented[1], copies(seed=4)[3])


def test_copies_without_changes_count_like_the_images(network):
    _, alone, _ = solved(network, ridge=0.5)
    _, copied, _ = solved(network, ridge=1.0, augmented_copies=1)
    np.testing.assert_allclose(alone, copied, atol=1e-4)


def test_a_refit_head_is_that_of_both_splits_and_its_row_is_of_the_one_before(network):
    both = records.Dataset(
        np.concatenate([TRAINING.images, VALIDATION.images]),
        np.concatenate([TRAINING.labels, VALIDATION.labels]),
        [*TRAINING.paths, *VALIDATION.paths],
    )
    before, after, whole = solved(network), solved(network, refit=True), solved(network, both)
    assert before[0] == after[0]
    assert not np.allclose(before[1], after[1])
    # Only the temperature differs.
    factor = (after[1] * whole[1]).sum() / (whole[1] ** 2).sum()
    np.testing.assert_allclose(after[1], factor * whole[1], atol=1e-5)
