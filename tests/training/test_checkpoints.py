import hashlib
import shutil
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from networks import NO_AUGMENT, bars, schema, train_params
from ruamel.yaml import YAML

from ferpipe.model import backbones, saving
from ferpipe.model.backend import keras
from ferpipe.model.network import with_probabilities
from ferpipe.training import checkpoints
from ferpipe.training.checkpoints import Checkpoints, State
from ferpipe.training.loop import train
from ferpipe.training.phase import Epoch


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Mortal(Checkpoints):
    """Checkpoints of a training that ends after some epochs."""

    def __init__(self, epochs, key="a", interval=0):
        super().__init__(key, interval)
        self.epochs = epochs

    def after_epoch(self, state):
        super().after_epoch(state)
        self.epochs -= 1
        if self.epochs == 0:
            raise Killed


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield Path(".ferpipe/checkpoints")
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def pretrained(tmp_path):
    """What a backbone of random weights needs to count as one that comes with weights."""
    path = tmp_path / "compact.weights.h5"
    keras.utils.set_random_seed(1)
    backbones.build("compact", 16, 1, "none").save_weights(path)
    return {
        "weights": str(path),
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def fit(params, kept=None):
    """What a training comes to: the bytes of its model, its history and its best epoch."""
    model, history, best = train(params, schema(), bars(50, seed=1), bars(30, seed=2), kept)
    saving.save(with_probabilities(model), Path("model.keras"))
    return Path("model.keras").read_bytes(), history, best


def state(epochs=1, value=1.0):
    rows = [Epoch(number + 1, "fine-tune", 0.1, 1.0, 0.5, 1.0, 0.5) for number in range(epochs)]
    weights = [np.full((2, 3), value, np.float32), np.array(4, np.int64)]
    return State(rows, weights, [weights[0] * 2], [weights[0] * 3])


SOME_AUGMENT = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 20.0, "contrast": 0.1})
# How a training can look; what `from_weights` is, the fixture `pretrained` knows.
TRAININGS = {
    "schedule, augmentation and class weights": {
        **{"epochs": 4, "schedule": "cosine", "warmup_epochs": 1, "augment": SOME_AUGMENT},
        **{"class_weights": "balanced", "label_smoothing": 0.1},
    },
    "two phases": {"from_weights": True, "head_epochs": 2, "epochs": 2, "augment": SOME_AUGMENT},
    "a solved head, then fine-tuning": {"head": "solved", "epochs": 3},
    "early stopping": {
        **{"from_weights": True, "epochs": 9, "early_stopping": 2, "dropout": 0.0},
        **{"learning_rate": 1e-12, "weight_decay": 0.0},
    },
    "sgd": {"optimizer": "sgd", "epochs": 3, "learning_rate": 0.02, "clip_norm": 0.0},
    "adam": {"optimizer": "adam", "epochs": 3, "weight_decay": 0.0},
    "bfloat16": {"precision": "mixed_bfloat16", "epochs": 3},
    "float16 with its loss scale": {"precision": "mixed_float16", "epochs": 3},
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_killed_after_every_epoch_ends_in_the_same_bytes(name, pretrained, capsys):
    values = dict(TRAININGS[name])
    if values.pop("from_weights", False):
        values |= pretrained
    params = train_params(**values)
    whole = fit(params)
    for started in count(1):
        try:
            pieces = fit(params, Mortal(epochs=1))
            break
        except Killed:
            assert started <= len(whole[1])
    assert pieces == whole
    # Each start but the first went on from the one before.
    assert capsys.readouterr().out.count("resumes after epoch") == started - 1 == len(whole[1])


def test_a_solved_head_that_is_all_there_is_is_not_solved_again(capsys):
    params = train_params(head="solved", epochs=0)
    whole = fit(params)
    with pytest.raises(Killed):
        fit(params, Mortal(epochs=1))
    assert fit(params, Checkpoints("a", 0)) == whole
    assert "resumes after epoch 1" in capsys.readouterr().out


def test_what_is_loaded_is_what_was_kept():
    Checkpoints("a", 0).after_epoch(lambda: state(epochs=3, value=7.0))
    loaded = Checkpoints("a", 0).load()
    kept = state(epochs=3, value=7.0)
    assert loaded.history == kept.history
    for kind in ("weights", "best_weights", "optimizer"):
        pairs = zip(getattr(loaded, kind), getattr(kept, kind), strict=True)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_arrays_come_back_in_their_order_also_when_there_are_many():
    arrays = [np.array(number) for number in range(1200)]
    Checkpoints("a", 0).after_epoch(lambda: State(state().history, arrays, [], []))
    assert [int(array) for array in Checkpoints("a", 0).load().weights] == list(range(1200))


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


def torn(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[data.index(np.full((2, 3), 1.0, np.float32).tobytes())] ^= 1
    path.write_bytes(data)


def emptied(path):
    path.write_bytes(b"")


def of_another(path):
    Checkpoints("b", 0).after_epoch(lambda: state(epochs=2))
    (path.parent.parent / "b" / path.name).replace(path)


def pickled(path):
    with path.open("wb") as file:
        np.savez(file, about=np.array([{"key": "a"}], dtype=object))


@pytest.mark.parametrize("spoil", [torn, flipped, emptied, of_another, pickled])
def test_one_that_is_torn_or_foreign_is_named_and_the_one_before_it_is_used(folder, spoil, capsys):
    kept = Checkpoints("a", 0)
    for epochs in (1, 2):
        kept.after_epoch(lambda epochs=epochs: state(epochs))
    spoil(folder / "a" / "epoch-00002.npz")
    assert len(kept.load().history) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "train: .ferpipe/checkpoints/a/epoch-00002.npz is no whole checkpoint of this training"
    )
    assert "resumes after epoch 1" in second


def test_without_one_that_can_be_read_a_training_begins_anew(folder):
    kept = Checkpoints("a", 0)
    kept.after_epoch(state)
    emptied(folder / "a" / "epoch-00001.npz")
    assert kept.load() is None


def test_the_interval_is_kept_and_none_is_made_in_vain(folder):
    kept = Checkpoints("a", 3600)
    kept.after_epoch(lambda: pytest.fail("nobody asked for it"))
    assert not folder.exists()


def test_a_slow_disk_makes_them_rarer(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept = Checkpoints("a", 1)
    written = []

    def slow():
        now[0] += 2.0  # what writing takes
        written.append(now[0])
        return state()

    for _ in range(400):
        now[0] += 1.0  # an epoch
        kept.after_epoch(slow)
    assert 2.0 * len(written) / now[0] < 0.03
    assert len(written) > 3


def test_stopped_trainings_that_nobody_takes_up_are_removed(folder, capsys):
    for number, name in enumerate("abcd"):
        Checkpoints(name, 0).after_epoch(state)
        moment = time.time() - 100 + number
        import os

        os.utime(folder / name, (moment, moment))
    Checkpoints("d", 0).prune()
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c", "d"]
    assert "checkpoints/a is removed" in capsys.readouterr().out


def test_the_key_is_of_params_records_and_processor(tmp_path, monkeypatch):
    records = tmp_path / "records"
    records.mkdir()
    (records / "schema.json").write_text("{}")
    params = train_params()
    first = checkpoints.key(params, records)
    assert checkpoints.key(params, records) == first
    assert checkpoints.key(train_params(seed=4), records) != first
    (records / "schema.json").write_text("{ }")
    assert checkpoints.key(params, records) != first
    (records / "schema.json").write_text("{}")
    monkeypatch.setattr(checkpoints.machine, "instruction_sets", lambda: "avx512_bf16")
    assert checkpoints.key(params, records) != first


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, which the key is of."""
    copied = tmp_path / "ferpipe"
    shutil.copytree(checkpoints.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkpoints, "PACKAGE", copied)
    (tmp_path / "records").mkdir()
    return copied


@pytest.mark.parametrize(
    "file", ["training/ridge_head.py", "model/hog_layers.py", "core/files.py", "params/train.py"]
)
def test_the_key_is_of_the_code_that_trains_imported_by_now_or_not(package, file):
    records = package.parent / "records"
    before = checkpoints.key(train_params(), records)
    assert checkpoints.key(train_params(), records) == before
    with (package / file).open("a") as source:
        source.write("# edited\n")
    assert checkpoints.key(train_params(), records) != before


@pytest.mark.parametrize("file", ["evaluation/metrics.py", "report/page.py", "params/split.py"])
def test_the_key_is_of_no_other_code(package, file):
    records = package.parent / "records"
    before = checkpoints.key(train_params(), records)
    with (package / file).open("a") as source:
        source.write("# edited\n")
    assert checkpoints.key(train_params(), records) == before


def test_the_key_is_of_the_code_that_the_stage_lists(root):
    deps = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text())["stages"]["train"][
        "deps"
    ]
    listed = {dep.removeprefix("src/ferpipe/") for dep in deps if dep.startswith("src/ferpipe/")}
    assert listed - {"stages/train.py", "params/run.py"} == set(checkpoints.CODE)
