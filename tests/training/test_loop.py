import hashlib

import numpy as np
import pytest
from networks import NO_AUGMENT, bars, schema, train_params

from ferpipe.core.errors import PipelineError
from ferpipe.data import records
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import log_loss, softmax
from ferpipe.model.network import build_model
from ferpipe.training.loop import calibrated, phases, train
from ferpipe.training.phase import task


@pytest.fixture
def compact_weights(tmp_path):
    """A weights file for the compact network, and its hash."""
    path = tmp_path / "compact.weights.h5"
    backbones.build("compact", 16, 1, "none").save_weights(path)
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def fit(**changes):
    return train(train_params(**changes), schema(), bars(50, seed=1), bars(30, seed=2))


def test_it_learns_what_can_be_learned():
    model, history, best = fit(epochs=6)
    assert history[best - 1].val_accuracy > 0.9
    assert history[-1].loss < history[0].loss
    judged = bars(30, seed=3)
    predicted = saving.predict(model, judged.images, 8).argmax(axis=1)
    assert np.mean(predicted == judged.labels) > 0.9


def test_the_same_seed_gives_the_same_weights_and_history():
    first, second, other = fit(), fit(), fit(seed=4)
    assert first[1:] == second[1:]
    pairs = zip(first[0].get_weights(), second[0].get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert first[1] != other[1]


def test_the_returned_model_is_that_of_the_best_epoch():
    # A learning rate this high makes the epochs differ, so that the last need not be the best.
    model, history, best = fit(epochs=5, learning_rate=0.05)
    accuracies = [row.val_accuracy for row in history]
    assert accuracies[best - 1] == max(accuracies)
    choosing = bars(30, seed=2)
    predicted = saving.predict(model, choosing.images, 8).argmax(axis=1)
    assert np.mean(predicted == choosing.labels) == pytest.approx(max(accuracies))


def test_among_equally_accurate_epochs_the_lowest_loss_wins():
    _, history, best = fit(epochs=6)
    rivals = [row for row in history if row.val_accuracy == history[best - 1].val_accuracy]
    assert history[best - 1].val_loss == min(row.val_loss for row in rivals)


def test_the_epoch_of_the_lowest_loss_is_kept_when_loss_is_monitored():
    _, history, best = fit(epochs=5, learning_rate=0.05, monitor="loss")
    assert history[best - 1].val_loss == min(row.val_loss for row in history)


def test_the_head_is_trained_first_and_leaves_the_backbone_alone(compact_weights):
    path, sha256 = compact_weights
    start = backbones.build("compact", 16, 1, path).get_weights()
    params = {"weights": path, "weights_sha256": sha256, "head_epochs": 2}
    _, history, _ = fit(**params, epochs=1)
    assert [row.phase for row in history] == ["head", "head", "fine-tune"]
    assert [row.learning_rate for row in history] == pytest.approx([1e-2, 1e-2, 2e-3])
    # With next to no learning rate in the second phase, what changed has changed in the first.
    model, _, _ = fit(**params, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    ended = model.get_layer("backbone").get_weights()
    assert all(np.allclose(a, b, atol=1e-9) for a, b in zip(start, ended, strict=True))


def test_the_head_sees_the_features_of_images_and_of_their_mirror_images(compact_weights):
    path, sha256 = compact_weights
    mirrored = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0})
    for augment, sides in ((NO_AUGMENT, 1), (mirrored, 2)):
        params = train_params(
            weights=path, weights_sha256=sha256, head_epochs=1, augment=augment, dropout=0.0
        )
        training, choosing = bars(20, seed=1), bars(9, seed=2)
        model = build_model(params, 16, 1, classes=3)
        fitted = task(model, params, phases(params)[0], training, choosing)
        batch = np.arange(20)
        drawn = np.stack([fitted.inputs(batch, np.random.default_rng(n)) for n in range(20)])
        seen = [len(np.unique(drawn[:, image], axis=0)) for image in batch]
        assert seen == [sides] * 20
        logits = [fitted.model.predict(x, verbose=0) for x in drawn]
        views = (training.images, training.images[:, :, ::-1])
        whole = [model.predict(images, verbose=0) for images in views]
        for found in logits:
            for image in batch:
                assert any(np.allclose(found[image], y[image], atol=1e-5) for y in whole[:sides])
        chosen = fitted.model.predict(fitted.choosing.images, verbose=0)
        assert np.allclose(chosen, model.predict(choosing.images, verbose=0), atol=1e-5)


def test_fine_tuning_changes_kernels_and_keeps_the_statistics_of_pretrained_layers(compact_weights):
    path, sha256 = compact_weights
    for params, kept in (({"weights": path, "weights_sha256": sha256}, True), ({}, False)):
        model, _, _ = fit(**params, epochs=1)
        stem = model.get_layer("backbone").get_layer("stem_bn")
        assert np.all(np.array(stem.moving_mean) == 0) == kept
    freed, _, _ = fit(weights=path, weights_sha256=sha256, epochs=1, batchnorm="updated")
    stem = freed.get_layer("backbone").get_layer("stem_bn")
    assert not np.all(np.array(stem.moving_mean) == 0)
    before = backbones.build("compact", 16, 1, path).get_layer("stage3_2_conv").kernel
    model, _, _ = fit(weights=path, weights_sha256=sha256, epochs=1)
    after = model.get_layer("backbone").get_layer("stage3_2_conv").kernel
    assert not np.allclose(np.array(before), np.array(after))


def test_another_weights_file_than_the_pinned_one_stops_the_run(compact_weights):
    path, _ = compact_weights
    with pytest.raises(PipelineError, match=r"has the SHA-256 .*, not train.weights_sha256"):
        fit(weights=path, weights_sha256="0" * 64)


def test_early_stopping_waits_and_then_stops(compact_weights):
    # Frozen statistics and next to no learning rate: no epoch betters the first.
    path, sha256 = compact_weights
    still = {"learning_rate": 1e-12, "weight_decay": 0.0, "dropout": 0.0}
    _, history, best = fit(weights=path, weights_sha256=sha256, epochs=9, early_stopping=2, **still)
    assert best == 1
    assert len(history) == 3


def test_a_loss_that_is_no_number_ends_in_one_line(tmp_path):
    broken = backbones.build("compact", 16, 1, "none")
    kernel = broken.get_layer("stem_conv").kernel
    kernel.assign(kernel * 1e38)  # a number, and its products are none
    path = tmp_path / "broken.weights.h5"
    broken.save_weights(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = r"the loss is not a finite number in epoch 1, step 1; lower train.learning_rate"
    with pytest.raises(PipelineError, match=message):
        fit(weights=str(path), weights_sha256=digest)


def test_warm_up_and_cosine_show_in_the_history():
    _, history, _ = fit(epochs=4, warmup_epochs=1, schedule="cosine")
    rates = [row.learning_rate for row in history]
    assert rates[0] == pytest.approx(2e-3)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_every_optimizer_learns(optimizer, clip_norm):
    decay = 0.0 if optimizer == "adam" else 0.01
    rate = 0.02 if optimizer == "sgd" else 2e-3
    _, history, _ = fit(
        optimizer=optimizer, weight_decay=decay, clip_norm=clip_norm, learning_rate=rate, epochs=3
    )
    assert history[-1].loss < history[0].loss


def test_mixed_precision_learns_too():
    try:
        _, history, best = fit(precision="mixed_bfloat16", epochs=6)
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[best - 1].val_accuracy > 0.8


def test_a_solved_head_alone_is_a_training_of_one_row():
    model, history, best = fit(head="solved", epochs=0)
    assert [(row.epoch, row.phase) for row in history] == [(1, "head")]
    assert best == 1
    judged = bars(30, seed=3)
    predicted = saving.predict(model, judged.images, 8).argmax(axis=1)
    assert np.mean(predicted == judged.labels) > 0.9


def test_test_never_teaches_though_it_chooses():
    """Labels of test that say nothing would spoil the head if it saw them."""
    params = train_params(head="solved", epochs=0, ridge=0.001)
    training, choosing, judged = (
        bars(count, seed=seed) for count, seed in ((30, 1), (60, 2), (30, 3))
    )
    wrong = records.Dataset(choosing.images, (choosing.labels + 1) % 3, choosing.paths)
    right = {}
    for selected_on_test in (False, True):
        about = schema(selected_on_test=selected_on_test)
        model, _, _ = train(params, about, training, wrong)
        logits = saving.predict(model, judged.images, 8)
        right[selected_on_test] = np.mean(logits.argmax(axis=1) == judged.labels)
    assert right[False] < 0.5
    assert right[True] > 0.9


def test_fine_tuning_begins_from_the_solved_head():
    head = fit(head="solved", epochs=0)[1][0]
    history = fit(head="solved", epochs=2, learning_rate=1e-5)[1]
    assert [(row.epoch, row.phase) for row in history] == [
        (1, "head"),
        (2, "fine-tune"),
        (3, "fine-tune"),
    ]
    assert history[0] == head
    assert history[1].val_accuracy == pytest.approx(head.val_accuracy, abs=0.1)


@pytest.mark.parametrize("backbone", ["compact", "MobileNetV2"])
def test_a_solved_head_takes_any_backbone(backbone):
    size = 16 if backbone == "compact" else 32
    _, history, _ = fit(head="solved", epochs=0, backbone=backbone, input_size=size)
    assert history[0].accuracy > 0.9


def test_the_temperature_makes_the_classifier_as_sure_as_it_is_right():
    params = train_params()
    model, _, _ = fit()
    choosing = bars(30, seed=2)
    # A third of the labels are wrong, and the logits could hardly be surer.
    labels = np.where(np.arange(30) % 3 == 0, (choosing.labels + 1) % 3, choosing.labels)
    doubtful = records.Dataset(choosing.images, labels.astype(np.int32), choosing.paths)
    head = model.get_layer("logits")
    head.set_weights([weights * 5 for weights in head.get_weights()])
    temperature = calibrated(model, params, schema(), doubtful)
    assert temperature > 2
    logits = saving.predict(model, choosing.images, 8)
    assert log_loss(labels, softmax(logits / temperature)) < log_loss(labels, softmax(logits)) / 2


def test_a_head_that_val_has_taught_is_not_calibrated_on_val():
    params = train_params(head="solved", epochs=0)
    model, _, _ = train(params, schema(), bars(50, seed=1), bars(30, seed=2))
    assert calibrated(model, params, schema(), bars(30, seed=2)) == 1.0
