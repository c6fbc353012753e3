import os
import shutil
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from networks import NO_AUGMENT, bars, pretrained, schema, train_params
from record_files import stored
from ruamel.yaml import YAML

from ferpipe.model import saving
from ferpipe.model.backend import keras
from ferpipe.model.network import with_probabilities
from ferpipe.training import checkpoints, fingerprint
from ferpipe.training.checkpoints import Checkpoints, State
from ferpipe.training.loop import train
from ferpipe.training.phase import Epoch


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


class OneEpoch(Checkpoints):
    """Checkpoints of a process that is killed after its first epoch."""

    def after_epoch(self, make_state):
        super().after_epoch(make_state)
        raise Killed


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield Path(".ferpipe/checkpoints")
    keras.config.set_dtype_policy("float32")


def fit(params, checkpoints=None, open_split=lambda _, dataset: dataset, memory_mb=1024):
    """Train; return the bytes of the model, the history and the best epoch."""
    splits = {"train": bars(50, seed=1), "val": bars(30, seed=2)}
    training, validation = (open_split(Path(name), data) for name, data in splits.items())
    model, history, best = train(params, schema(), training, validation, checkpoints, memory_mb)
    saving.save(with_probabilities(model), Path("model.keras"))
    return Path("model.keras").read_bytes(), history, best


def fit_in_pieces(params, **options):
    """Train in processes that are killed after each epoch; return the same, and their number."""
    for starts in count(1):
        try:
            return fit(params, OneEpoch("a", 0), **options), starts
        except Killed:
            assert starts < 20


def state(epochs=1):
    rows = [Epoch(number + 1, "fine-tune", 0.1, 1.0, 0.5, 1.0, 0.5) for number in range(epochs)]
    weights = [np.full((2, 3), 1.0, np.float32), np.array(4, np.int64)]
    return State(rows, weights, [weights[0] * 2], [weights[0] * 3])


SOME_AUGMENT = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0, "contrast": 0.1})
TRAININGS = {
    "schedule, augmentation and class weights": {
        **{"epochs": 4, "schedule": "cosine", "warmup_epochs": 1, "augment": SOME_AUGMENT},
        **{"class_weights": "balanced", "label_smoothing": 0.1},
    },
    "two phases": {"weights": "file", "head_epochs": 2, "epochs": 2, "augment": SOME_AUGMENT},
    "a solved head": {"head": "solved", "epochs": 0},
    "a solved head, then fine-tuning": {"head": "solved", "epochs": 3},
    "early stopping": {
        **{"weights": "file", "epochs": 9, "early_stopping": 2, "dropout": 0.0},
        **{"learning_rate": 1e-12, "weight_decay": 0.0},
    },
    "sgd": {"optimizer": "sgd", "epochs": 3, "learning_rate": 0.02, "clip_norm": 0.0},
    "adam": {"optimizer": "adam", "epochs": 3, "weight_decay": 0.0},
    "bfloat16": {"precision": "mixed_bfloat16", "epochs": 3},
    "float16 with its loss scale": {"precision": "mixed_float16", "epochs": 3},
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_killed_after_every_epoch_ends_in_the_same_bytes(name, tmp_path, capsys):
    values = TRAININGS[name]
    if values.get("weights") == "file":
        keras.utils.set_random_seed(1)
        values = values | pretrained(tmp_path / "compact.weights.h5")
    params = train_params(**values)
    whole = fit(params)
    pieces, starts = fit_in_pieces(params)
    assert pieces == whole
    assert capsys.readouterr().out.count("resumes after epoch") == starts - 1 == len(whole[1])


@pytest.mark.parametrize("name", ["two phases", "a solved head, then fine-tuning"])
def test_a_training_that_reads_its_images_batch_by_batch_ends_in_the_same_bytes(name, tmp_path):
    """Also if it is killed and resumed; features of a frozen backbone are in a file then."""
    values = TRAININGS[name] | {"augment": SOME_AUGMENT, "augmented_copies": 1}
    if values.get("weights") == "file":
        keras.utils.set_random_seed(1)
        values = values | pretrained(tmp_path / "compact.weights.h5")
    params = train_params(**values)
    streamed, _ = fit_in_pieces(params, open_split=stored, memory_mb=0)
    assert streamed == fit(params)
    model, images = saving.load_vetted(Path("model.keras")), bars(30, seed=2).images
    of_files = saving.predict(model, stored(Path("again"), bars(30, seed=2)).images, 8)
    assert np.array_equal(of_files, saving.predict(model, images, 8))


def test_the_loaded_state_is_the_saved_one():
    many = [np.array(number) for number in range(1200)]  # in their order
    saved = State(state(3).history, many, state().weights, state().optimizer)
    Checkpoints("a", 0).after_epoch(lambda: saved)
    loaded = Checkpoints("a", 0).load()
    assert loaded.history == saved.history
    for kind in checkpoints.ARRAYS:
        pairs = zip(getattr(loaded, kind), getattr(saved, kind), strict=True)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_the_last_two_are_kept_and_none_when_the_training_is_done(folder):
    kept = Checkpoints("a", 0)
    for epochs in (1, 2, 3, 10):
        kept.after_epoch(lambda epochs=epochs: state(epochs))
    names = sorted(path.name for path in (folder / "a").iterdir())
    assert names == ["epoch-00003.npz", "epoch-00010.npz"]
    assert len(kept.load().history) == 10
    kept.remove()
    assert list(folder.iterdir()) == []
    assert kept.load() is None


def emptied(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    weights = np.full((2, 3), 1.0, np.float32).tobytes()
    path.write_bytes(path.read_bytes().replace(weights, b"\x01" + weights[1:]))


def of_another(path):
    Checkpoints("b", 0).after_epoch(lambda: state(epochs=2))
    (path.parent.parent / "b" / path.name).replace(path)


def pickled(path):
    np.savez(path, about=np.array([{"key": "a"}], dtype=object))


@pytest.mark.parametrize("damage", [truncated, flipped, emptied, of_another, pickled])
def test_a_damaged_or_foreign_one_is_reported_and_the_one_before_it_is_used(folder, damage, capsys):
    kept = Checkpoints("a", 0)
    for epochs in (1, 2):
        kept.after_epoch(lambda epochs=epochs: state(epochs))
    damage(folder / "a" / "epoch-00002.npz")
    assert len(kept.load().history) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "/a/epoch-00002.npz is no whole checkpoint of this training" in first
    assert "resumes after epoch 1" in second
    emptied(folder / "a" / "epoch-00001.npz")
    assert kept.load() is None


def test_the_state_is_not_made_before_the_interval_is_over(folder):
    kept = Checkpoints("a", 3600)
    kept.after_epoch(lambda: pytest.fail("it is not due"))
    assert not folder.exists()


def test_a_slow_disk_makes_them_rarer(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept = Checkpoints("a", 1)
    written = []

    def slow():
        now[0] += 2.0  # seconds that writing takes
        written.append(now[0])
        return state()

    for _ in range(400):
        now[0] += 1.0  # an epoch
        kept.after_epoch(slow)
    assert 2.0 * len(written) / now[0] < 0.03
    assert len(written) > 3


def test_the_oldest_stopped_trainings_are_removed(folder, capsys):
    for number, name in enumerate("abcd"):
        Checkpoints(name, 0).after_epoch(state)
        seconds = time.time() - 100 + number
        os.utime(folder / name, (seconds, seconds))
    Checkpoints("d", 0).prune()
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c", "d"]
    assert "checkpoints/a is removed" in capsys.readouterr().out


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "schema.json").write_text("{}")
    return folder


def test_the_key_depends_on_params_records_and_processor(records, monkeypatch):
    keys = [checkpoints.key(train_params(), records)]
    assert checkpoints.key(train_params(), records) == keys[0]
    keys.append(checkpoints.key(train_params(seed=4), records))
    (records / "schema.json").write_text("{ }")
    keys.append(checkpoints.key(train_params(), records))
    monkeypatch.setattr(checkpoints.machine, "instruction_sets", lambda: "avx512_bf16")
    keys.append(checkpoints.key(train_params(), records))
    assert len(set(keys)) == 4


def test_the_key_depends_on_the_code_that_trains_and_on_no_other(records, tmp_path, monkeypatch):
    package = tmp_path / "ferpipe"
    shutil.copytree(fingerprint.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    before = checkpoints.key(train_params(), records)
    for file, changes in {
        **dict.fromkeys(("training/ridge_head.py", "model/hog_layers.py"), True),
        **dict.fromkeys(("core/files.py", "params/train.py"), True),
        **dict.fromkeys(("evaluation/metrics.py", "report/page.py", "params/split.py"), False),
    }.items():
        text = (package / file).read_text()
        (package / file).write_text(text + "# edited\n")
        assert (checkpoints.key(train_params(), records) != before) == changes, file
        (package / file).write_text(text)


def test_the_key_depends_on_the_code_that_the_stage_lists(root):
    pipeline = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text())
    deps = pipeline["stages"]["train"]["deps"]
    listed = {dep.removeprefix("src/ferpipe/") for dep in deps if dep.startswith("src/ferpipe/")}
    assert listed - {"stages/train.py", "params/run.py"} == set(fingerprint.CODE)
