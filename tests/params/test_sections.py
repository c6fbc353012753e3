"""The models of the sections, held against the committed params.yaml and against wrong values."""

import copy
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ferpipe.core.errors import PipelineError
from ferpipe.params.cv import CrossValidation
from ferpipe.params.download import Download
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.params.train import BACKBONES, Train

MODELS = {
    "download": Download,
    "split": Split,
    "preprocess": Preprocess,
    "train": Train,
    "evaluate": Evaluate,
    "cv": CrossValidation,
    "run": Run,
}
COMMITTED = YAML(typ="safe", pure=True).load(
    (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
)


def leaves(values, prefix=""):
    """`{"split.seed": 1, ...}` of nested mappings."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


LEAVES = leaves(COMMITTED)
NULLABLE = {
    "download.root",
    "download.expect.class_counts",
    "download.expect.digest",
    "download.kaggle.version",
    "split.folds",
    "train.weights_sha256",
}
NUMBERS = [key for key, value in LEAVES.items() if type(value) in (int, float)]
SHA = "0123456789abcdef" * 4


@pytest.fixture
def read(tmp_path):
    """Read a section of the committed params.yaml with some keys changed (or removed: ...)."""

    def read_changed(section, changes):
        values = copy.deepcopy(COMMITTED[section])
        for key, value in changes.items():
            *parts, last = key.removeprefix(f"{section}.").split(".")
            target = values
            for part in parts:
                target = target[part]
            if value is ...:
                del target[last]
            else:
                target[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(json.dumps({section: values}), encoding="utf-8")
        return read_section(path, section, MODELS[section])

    return read_changed


def refused(read, section, changes):
    with pytest.raises(PipelineError) as error:
        read(section, changes)
    return str(error.value)


@pytest.mark.parametrize("section", MODELS)
def test_the_committed_values_are_valid(read, section):
    assert leaves(read(section, {}).model_dump()) == leaves(COMMITTED[section])


@pytest.mark.parametrize("section", MODELS)
def test_a_section_has_a_key_for_every_field_and_no_other(section):
    def keys(model):
        return {
            name: keys(field.annotation) if hasattr(field.annotation, "model_fields") else None
            for name, field in model.model_fields.items()
        }

    def names(values):
        return {k: names(v) if isinstance(v, dict) else None for k, v in values.items()}

    assert keys(MODELS[section]) == names(COMMITTED[section])


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_is_needed(read, key):
    section = key.split(".")[0]
    assert f"{key}: this key is missing" in refused(read, section, {key: ...})


@pytest.mark.parametrize("key", LEAVES)
def test_null_is_refused_where_it_says_nothing(read, key):
    section = key.split(".")[0]
    if key in NULLABLE:
        assert leaves(read(section, {key: None}).model_dump())[key.partition(".")[2]] is None
    else:
        assert f"{key} = null: should be " in refused(read, section, {key: None})


@pytest.mark.parametrize("key", [*NUMBERS, "download.kaggle.version", "split.folds"])
@pytest.mark.parametrize("value", [True, "3"])
def test_a_number_is_neither_a_truth_value_nor_text(read, key, value):
    section = key.split(".")[0]
    shown = "true" if value is True else repr(value)
    assert f"{key} = {shown}: should be a valid " in refused(read, section, {key: value})


@pytest.mark.parametrize("key", [key for key, value in LEAVES.items() if isinstance(value, str)])
def test_text_is_not_a_number(read, key):
    assert f"{key} = 3: should be " in refused(read, key.split(".")[0], {key: 3})


@pytest.mark.parametrize("key", ["train.deterministic", "train.augment.flip"])
@pytest.mark.parametrize("value", [1, "yes", "true"])
def test_a_truth_value_is_only_true_or_false(read, key, value):
    message = f"{key} = {value!r}: should be true or false"
    assert message in refused(read, "train", {key: value})


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("download.sample.subjects", 2, 999),
        ("download.sample.seed", 0, 2**32 - 1),
        ("download.kaggle.version", 1, None),
        ("split.seed", 0, 2**32 - 1),
        ("split.folds", 2, 1000),
        ("split.fold", 0, None),
        ("preprocess.image_size", 8, 1024),
        ("preprocess.shard_size", 1, 100_000),
        ("train.input_size", 16, 1024),
        ("train.batch_size", 1, 4096),
        ("train.head_epochs", 0, None),
        ("train.epochs", None, 10_000),
        ("train.warmup_epochs", 0, None),
        ("train.early_stopping", 0, None),
        ("train.seed", 0, 2**32 - 1),
        ("evaluate.figure_dpi", 50, 600),
        ("run.workers", 0, 256),
        ("run.download_deadline", 1, 86_400),
        ("run.checkpoint_seconds", 0, 86_400),
    ],
)
def test_a_whole_number_keeps_its_range(read, key, least, most):
    section = key.split(".")[0]
    for value, beyond in ((least, -1), (most, 1)):
        if value is not None:
            read(section, {key: value})
            message = refused(read, section, {key: value + beyond})
            assert f"{key} = {value + beyond}: should be " in message
            assert message.endswith(f"equal to {value}") or message.endswith(f"than {value + 1}")


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("download.max_bad_fraction", [0, 0.99], [-0.01, 1.0]),
        ("split.test_size", [0.01, 0.75], [0.0, 1.0]),
        ("split.val_size", [0, 0.75], [-0.1, 1.0]),
        ("train.head_learning_rate", [1e-9, 10.0], [0.0, 10.1]),
        ("train.learning_rate", [1e-9, 10.0], [0.0, 10.1]),
        ("train.weight_decay", [0, 1.0], [-0.1, 1.1]),
        ("train.clip_norm", [0, 1e9], [-0.1]),
        ("train.label_smoothing", [0, 0.99], [-0.1, 1.0]),
        ("train.dropout", [0, 0.99], [-0.1, 1.0]),
        ("train.augment.rotate", [0, 180.0], [-0.1, 180.1]),
        ("train.augment.shift", [0, 0.99], [-0.1, 1.0]),
        ("train.augment.zoom", [0, 0.99], [-0.1, 1.0]),
        ("train.augment.contrast", [0, 0.99], [-0.1, 1.0]),
        ("evaluate.confidence", [0.5, 0.999], [0.49, 0.9999]),
    ],
)
def test_a_number_keeps_its_range(read, key, good, bad):
    section = key.split(".")[0]
    for value in good:
        read(section, {key: value})
    for value in bad:
        assert f"{key} = {value}: should be " in refused(read, section, {key: value})


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("download.source", ["sample", "kaggle", "local"]),
        ("split.group_by", ["none", "sequence", "subject"]),
        ("preprocess.color", ["grayscale", "rgb"]),
        ("train.backbone", BACKBONES),
        ("train.schedule", ["constant", "cosine"]),
        ("train.class_weights", ["none", "balanced"]),
        ("train.precision", ["float32", "mixed_bfloat16", "mixed_float16"]),
    ],
)
def test_a_choice_is_one_of_those_listed(read, key, choices):
    section = key.split(".")[0]
    for choice in choices:
        room = {"train.input_size": 75} if key == "train.backbone" else {}
        read(section, {key: choice, **room})
    message = refused(read, section, {key: "!"})
    *first, last = map(repr, choices)
    assert f"{key} = '!': should be {', '.join(first)} or {last}" in message


def test_seeds_of_the_cross_validation_keep_their_range(read):
    assert read("cv", {"seeds": [0, 2**32 - 1]}).seeds == [0, 2**32 - 1]
    for value in (-1, 2**32, "1", True, None):
        assert "cv.seeds.1 = " in refused(read, "cv", {"seeds": [1, value]})


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "cv.seeds = []: List should have at least 1 item"),
        ([1, 2, 1], "cv.seeds = [1, 2, 1]: each seed should stand there once"),
        (3, "cv.seeds = 3: should be a valid list"),
    ],
)
def test_seeds_are_a_list_without_repeats(read, seeds, message):
    assert message in refused(read, "cv", {"seeds": seeds})


def test_a_choice_that_is_nearly_one_gets_the_right_one_named(read):
    message = refused(read, "train", {"train.backbone": "resnet101"})
    assert "train.backbone = 'resnet101': did you mean 'ResNet101'? It should be " in message


def test_a_network_that_needs_more_pixels_says_how_many(read):
    message = refused(read, "train", {"train.backbone": "Xception"})
    assert "train: input_size = 48: Xception takes 71 pixels or more" in message


def test_every_optimizer_is_taken_with_a_weight_decay_that_it_knows(read):
    for optimizer, decay in (("adam", 0.0), ("adamw", 0.1), ("sgd", 0.1)):
        read("train", {"optimizer": optimizer, "weight_decay": decay})
    assert "train.optimizer = 'lion': " in refused(read, "train", {"optimizer": "lion"})


@pytest.mark.parametrize("dataset", ["ckplus", "a/b/c", "https://kaggle.com/a/b", "a/b c", "/a"])
def test_a_kaggle_data_set_is_owner_and_name(read, dataset):
    message = refused(read, "download", {"kaggle.dataset": dataset})
    assert f"download.kaggle.dataset = {dataset!r}: " in message


@pytest.mark.parametrize("path", ["", "~/faces"])
def test_a_local_path_is_neither_empty_nor_a_home_that_python_does_not_know(read, path):
    assert f"download.local.path = {path!r}: " in refused(read, "download", {"local.path": path})


@pytest.mark.parametrize("digest", ["", SHA[:-1], SHA + "0", SHA.upper(), SHA + "\n"])
def test_a_digest_is_64_small_hexadecimal_digits(read, digest):
    read("download", {"expect.digest": SHA})
    message = refused(read, "download", {"expect.digest": digest})
    assert f"download.expect.digest = {digest!r}: " in message


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"angry": 0}, "class_counts.angry = 0: should be greater than or equal to 1"),
        ({"angry": "3"}, "class_counts.angry = '3': should be a valid integer"),
        ([3], "class_counts = [3]: should be indented"),
    ],
)
def test_class_counts_are_whole_numbers_above_0(read, counts, message):
    assert message in refused(read, "download", {"expect.class_counts": counts})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 5, "fold": 5}, "split: fold = 5 should be below folds = 5"),
        (
            {"test_size": 0.5, "val_size": 0.46},
            "split: test (0.5) and val_size (0.46) should leave at least 5% of the images for "
            "training",
        ),
        ({"folds": 2, "val_size": 0.46}, "split: test (0.5) and val_size (0.46) should leave"),
        (
            {"group_by": "subject", "name_pattern": r"(?P<sequence>S\d+)"},
            "split: group_by = 'subject' needs a name_pattern with the group (?P<subject>...)",
        ),
        (
            {"group_by": "sequence", "name_pattern": ""},
            "split: group_by = 'sequence' needs a name_pattern with the group (?P<sequence>...)",
        ),
        (
            {"name_pattern": "((?P<subject>S)"},
            "split.name_pattern = '((?P<subject>S)': is not a regular expression: missing )",
        ),
        (
            {"name_pattern": "(?P<person>S)"},
            "split.name_pattern = '(?P<person>S)': has the group `person`; known: subject, "
            "sequence",
        ),
    ],
)
def test_split_keys_that_do_not_fit_together_are_told(read, changes, message):
    assert message in refused(read, "split", changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"folds": 5, "fold": 4},
        {"test_size": 0.5, "val_size": 0.45},
        {"folds": 2, "val_size": 0.45},
        {"folds": 10, "test_size": 0.9},  # test_size is not used with folds
        {"folds": None, "fold": 7},  # fold is not used without folds
        {"group_by": "none", "name_pattern": ""},
    ],
)
def test_split_keys_that_fit_together_are_taken(read, changes):
    read("split", changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": "imagenet"},
            "train: weights = 'imagenet': there are none for the backbone 'compact'",
        ),
        ({"weights_sha256": SHA}, "train: weights_sha256 goes with the path of a weights file"),
        (
            {"backbone": "VGG16", "weights": "imagenet", "weights_sha256": SHA},
            "train: weights_sha256 goes with the path of a weights file",
        ),
        (
            {"weights": "face.weights.h5"},
            "train: weights = 'face.weights.h5' needs weights_sha256, the file's SHA-256",
        ),
        ({"weights": ""}, "train.weights = ''"),
        (
            {"head_epochs": 1},
            "train: head_epochs trains on a frozen backbone; with random weights use 0",
        ),
        (
            {"weights": "imagenet", "backbone": "VGG16", "head": "solved", "head_epochs": 1},
            "train: head = 'solved' leaves nothing for head_epochs to train; use 0",
        ),
        (
            {"epochs": 0, "warmup_epochs": 0},
            "train: epochs = 0 needs head = 'solved'; a trained head needs epochs",
        ),
        (
            {"optimizer": "adam", "weight_decay": 0.01},
            "train: weight_decay needs the optimizer adamw or sgd; with adam use 0",
        ),
        ({"epochs": 5, "warmup_epochs": 6}, "train: warmup_epochs = 6 is more than epochs = 5"),
    ],
)
def test_train_keys_that_do_not_fit_together_are_told(read, changes, message):
    assert message in refused(read, "train", changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "VGG16", "weights": "imagenet", "head_epochs": 3},
        {"weights": "face.weights.h5", "weights_sha256": SHA, "head_epochs": 3},
        {"optimizer": "adam", "weight_decay": 0.0},
        {"epochs": 5, "warmup_epochs": 5},
        {"epochs": 0, "warmup_epochs": 0, "head": "solved"},
    ],
)
def test_train_keys_that_fit_together_are_taken(read, changes):
    read("train", changes)
