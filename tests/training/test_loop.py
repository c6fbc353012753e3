import numpy as np
import pytest
import tensorflow as tf
from networks import NO_AUGMENT, bars, pretrained, schema, train_params

from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import records
from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.losses import log_loss, softmax
from ferpipe.model.network import build_model
from ferpipe.training.loop import fitted_temperature, phases, train
from ferpipe.training.phase import compile_phase

# Next to no learning rate: weights stay the same.
STILL = {"learning_rate": 1e-12, "weight_decay": 0.0, "dropout": 0.0}


@pytest.fixture
def weights(tmp_path):
    """Params of a pretrained backbone."""
    return pretrained(tmp_path / "compact.weights.h5")


def fit(validation=None, about=None, **changes):
    validation = validation or bars(30, seed=2)
    return train(train_params(**changes), about or schema(), bars(50, seed=1), validation)


def accuracy(model, images):
    return np.mean(saving.predict(model, images.images, 8).argmax(axis=1) == images.labels)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_it_learns_and_generalises(precision):
    try:
        model, history, best = fit(epochs=6, precision=precision)
        assert accuracy(model, bars(30, seed=3)) > 0.9
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[best - 1].val_accuracy > 0.8
    assert history[-1].loss < history[0].loss


def test_another_seed_gives_another_training():
    # The same seed gives the same bytes, see test_checkpoints.
    assert fit(epochs=1)[1] != fit(epochs=1, seed=4)[1]


@pytest.mark.parametrize("monitor", ["accuracy", "loss", "none"])
def test_the_best_epoch_and_its_model_are_returned(monitor):
    # At such a learning rate epochs differ, and the last need not be the best.
    model, history, best = fit(epochs=5, learning_rate=0.05, monitor=monitor)
    if monitor == "accuracy":
        ranks = [(-row.val_accuracy, row.val_loss) for row in history]
    elif monitor == "loss":
        ranks = [row.val_loss for row in history]
    else:  # the last epoch
        ranks = [-row.epoch for row in history]
    assert ranks[best - 1] == min(ranks)
    assert accuracy(model, bars(30, seed=2)) == pytest.approx(history[best - 1].val_accuracy)


def test_the_head_is_trained_first_and_leaves_the_backbone_alone(weights):
    start = backbones.build("compact", 16, 1, weights["weights"]).get_weights()
    model, history, _ = fit(**weights, head_epochs=2, epochs=1, **STILL)
    assert [row.phase for row in history] == ["head", "head", "fine-tune"]
    assert [row.learning_rate for row in history] == pytest.approx([1e-2, 1e-2, 1e-12])
    end = model.get_layer("backbone").get_weights()
    assert all(np.allclose(a, b, atol=1e-9) for a, b in zip(start, end, strict=True))


@pytest.mark.parametrize(
    ("augment", "sides"),
    [(NO_AUGMENT, 1), (NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0}), 2)],
)
def test_the_head_sees_the_features_of_images_and_of_their_mirror_images(weights, augment, sides):
    params = train_params(**weights, head_epochs=1, augment=augment, dropout=0.0)
    training, validation = bars(20, seed=1), bars(9, seed=2)
    model = build_model(params, 16, 1, classes=3)
    task = compile_phase(model, params, phases(params)[0], training, validation)
    batch = np.arange(20)
    drawn = np.stack([task.inputs(batch, np.random.default_rng(n)) for n in range(20)])
    assert [len(np.unique(drawn[:, image], axis=0)) for image in batch] == [sides] * 20
    expected = [
        model.predict(images, verbose=0)
        for images in (training.images, training.images[:, :, ::-1])[:sides]
    ]
    for features in drawn:
        logits = task.model.predict(features, verbose=0)
        differences = [np.abs(logits - side).max(axis=1) for side in expected]
        assert np.min(differences, axis=0).max() < 1e-5
    selecting = task.model.predict(task.validation.images, verbose=0)
    np.testing.assert_allclose(selecting, model.predict(validation.images, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("is_pretrained", "batchnorm", "kept"),
    [(True, "frozen", True), (True, "updated", False), (False, "frozen", False)],
)
def test_fine_tuning_keeps_only_the_statistics_of_frozen_pretrained_layers(
    weights, is_pretrained, batchnorm, kept
):
    start = backbones.build("compact", 16, 1, weights["weights"]).get_layer("stage3_2_conv").kernel
    model, _, _ = fit(**(weights if is_pretrained else {}), epochs=1, batchnorm=batchnorm)
    backbone = model.get_layer("backbone")
    assert (not np.any(backbone.get_layer("stem_bn").moving_mean)) == kept
    assert not np.allclose(backbone.get_layer("stage3_2_conv").kernel, start)


def test_another_weights_file_than_the_pinned_one_is_refused(weights):
    with pytest.raises(PipelineError, match=r"has the SHA-256 .*, not train.weights_sha256"):
        fit(**weights | {"weights_sha256": "0" * 64})


def test_early_stopping_waits_and_then_stops(weights):
    # Frozen statistics: no epoch is better than the first.
    _, history, best = fit(**weights, epochs=9, early_stopping=2, **STILL)
    assert best == 1
    assert len(history) == 3


def test_a_loss_that_is_not_finite_ends_in_one_line(weights, monkeypatch):
    build = backbones.build

    def broken(*args):
        backbone = build(*args)
        kernel = backbone.get_layer("stem_conv").kernel
        kernel.assign(kernel * 1e38)  # finite, but its products are not
        return backbone

    monkeypatch.setattr(backbones, "build", broken)
    message = r"the loss is not a finite number in epoch 1, step 1; lower train.learning_rate"
    with pytest.raises(PipelineError, match=message):
        fit(**weights)


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("ResourceExhaustedError", "OOM when allocating tensor", "out of memory; lower train.bat"),
        ("InternalError", "Dst tensor is not initialized. [Op:Cast]", "out of memory; lower train"),
        (
            "UnimplementedError",
            "A deterministic GPU implementation of DepthwiseConvBackpropFilter is not currently "
            "available.\n\t [[node gradient_tape/model]] [Op:__inference_train_step_19847]",
            "TensorFlow has no deterministic kernel of DepthwiseConvBackpropFilter for this GPU; ",
        ),
    ],
)
def test_what_a_gpu_lacks_ends_the_stage_in_one_line(monkeypatch, capsys, kind, text, line):
    def lacking(*args, **kwargs):
        raise getattr(tf.errors, kind)(None, None, text)

    monkeypatch.setattr(keras.Model, "train_on_batch", lacking)
    with pytest.raises(SystemExit) as end:
        exits_cleanly("train")(fit)()
    assert end.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"train: error: {line}")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_every_optimizer_learns_on_its_schedule(optimizer, clip_norm):
    decay = 0.0 if optimizer == "adam" else 0.01
    peak = 0.02 if optimizer == "sgd" else 2e-3
    _, history, _ = fit(
        **{"optimizer": optimizer, "weight_decay": decay, "clip_norm": clip_norm, "epochs": 4},
        **{"learning_rate": peak, "warmup_epochs": 1, "schedule": "cosine"},
    )
    assert history[-1].loss < history[0].loss
    rates = [row.learning_rate for row in history]
    assert rates[0] == pytest.approx(peak)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < peak / 20


@pytest.mark.parametrize("backbone", ["compact", "MobileNetV2"])
def test_a_solved_head_alone_is_a_training_of_one_row_with_any_backbone(backbone):
    size = 16 if backbone == "compact" else 32
    model, history, best = fit(head="solved", epochs=0, backbone=backbone, input_size=size)
    assert [(row.epoch, row.phase) for row in history] == [(1, "head")]
    assert best == 1
    assert accuracy(model, bars(30, seed=3)) > 0.9


def test_the_head_is_refit_on_val_and_never_on_test():
    validation = bars(60, seed=2)
    wrong = records.Dataset(validation.images, (validation.labels + 1) % 3, validation.paths)
    solved = {"validation": wrong, "head": "solved", "epochs": 0, "ridge": 0.001}
    val, _, _ = fit(**solved)
    test, _, _ = fit(about=schema(selected_on_test=True), **solved)
    unseen = bars(30, seed=3)
    assert accuracy(val, unseen) < 0.5
    assert accuracy(test, unseen) > 0.9


def test_fine_tuning_starts_from_the_solved_head():
    head = fit(head="solved", epochs=0)[1][0]
    history = fit(head="solved", epochs=2, learning_rate=1e-5)[1]
    assert [(row.epoch, row.phase) for row in history[1:]] == [(2, "fine-tune"), (3, "fine-tune")]
    assert history[0] == head
    assert history[1].val_accuracy == pytest.approx(head.val_accuracy, abs=0.1)


def test_the_temperature_calibrates_overconfident_logits():
    model, _, _ = fit()
    validation = bars(30, seed=2)
    # A third of the labels are wrong, and the logits are five times as large.
    labels = np.where(np.arange(30) % 3 == 0, (validation.labels + 1) % 3, validation.labels)
    doubtful = records.Dataset(validation.images, labels.astype(np.int32), validation.paths)
    head = model.get_layer("logits")
    head.set_weights([weights * 5 for weights in head.get_weights()])
    temperature = fitted_temperature(model, train_params(), schema(), doubtful)
    assert temperature > 2
    logits = saving.predict(model, validation.images, 8)
    assert log_loss(labels, softmax(logits / temperature)) < log_loss(labels, softmax(logits)) / 2


def test_a_head_that_is_refit_on_val_is_not_calibrated_on_it():
    params = train_params(head="solved", epochs=0)
    assert fitted_temperature(fit(head="solved", epochs=0)[0], params, schema(), bars(30, 2)) == 1.0
