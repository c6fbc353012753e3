"""The models of the sections, checked with presets/base.yaml and with wrong values."""

import copy
import functools
from pathlib import Path

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import Experiment
from ferpipe.params.reader import checked, read_yaml
from ferpipe.params.train import BACKBONES

BASE = read_yaml(Path(__file__).parents[2] / "presets" / "base.yaml")


def leaves(values, prefix=""):
    """`{"split.seed": 1, ...}` of nested mappings."""
    flat = {}
    for key, value in values.items():
        flat |= (
            leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


LEAVES = leaves(BASE)
NULLABLE = {
    *("download.layout.pattern", "download.layout.file", "download.layout.name_encoding"),
    "download.convert.background",
    "download.root",
    "download.expect.class_counts",
    "download.expect.digest",
    "download.kaggle.version",
    "split.folds",
    "train.weights_sha256",
    "train.batchnorm_momentum",
}
OTHER_TYPES = {int: [True, "3", 0.5], float: [True, "3"], str: [3], bool: [1, "yes", "true"]}
SEED = ([0, 2**32 - 1], [-1, 2**32])
FRACTION = ([0, 0.99], [-0.01, 1.0])
RATE = ([1e-9, 10.0], [0.0, 10.1])
SHA = "0123456789abcdef" * 4


def read(changes):
    """Check a section of presets/base.yaml with some keys changed (or removed: ...)."""
    section = next(iter(changes)).split(".")[0]
    values = copy.deepcopy(BASE)
    for key, value in changes.items():
        *parents, last = key.split(".")
        target = functools.reduce(dict.__getitem__, parents, values)
        target[last] = value
        if value is ...:
            del target[last]
    model = Experiment.model_fields[section].annotation
    return checked(values[section], model, "params.yaml", section)


def refused(changes):
    """The message of the error about changed keys."""
    with pytest.raises(PipelineError) as error:
        read(changes)
    return str(error.value)


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_is_needed(key):
    assert f"{key}: this key is missing" in refused({key: ...})


@pytest.mark.parametrize("key", LEAVES)
def test_null_is_refused_unless_it_has_a_meaning(key):
    if key in NULLABLE:
        assert leaves(read({key: None}).model_dump())[key.partition(".")[2]] is None
    else:
        assert f"{key} = null: should be " in refused({key: None})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, other)
        for key, value in (
            LEAVES | {"download.kaggle.version": 1, "split.folds": 2, "train.ridge": 0.3}
        ).items()
        for other in OTHER_TYPES.get(type(value), ())
    ],
)
def test_a_value_of_another_type_is_refused(key, value):
    shown = "true" if value is True else repr(value)
    assert f"{key} = {shown}: should be " in refused({key: value})


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("download.sample.subjects", [2, 100_000], [1, 100_001]),
        ("download.sample.seed", *SEED),
        ("download.kaggle.version", [1], [0]),
        ("download.max_bad_fraction", *FRACTION),
        ("download.limits.files", [1], [0]),
        ("download.limits.file_mb", [1], [0]),
        ("download.limits.total_mb", [1], [0]),
        ("download.limits.ratio", [1], [0]),
        ("split.seed", *SEED),
        ("split.test_size", [0.01, 0.75], [0.0, 1.0]),
        ("split.val_size", [0, 0.75], [-0.1, 1.0]),
        ("split.folds", [2, 1000], [1, 1001]),
        ("split.fold", [0], [-1]),
        ("preprocess.image_size", [8, 1024], [7, 1025]),
        ("preprocess.shard_size", [1, 100_000], [0, 100_001]),
        ("train.input_size", [16, 1024], [15, 1025, [], [15], [48, "64"]]),
        ("train.batch_size", [1, 4096], [0, 4097]),
        ("train.ridge", ["auto", 1e-9, 1000], [0.0, 1000.1]),
        ("train.batchnorm_momentum", [None, 0.0, 0.99], [-0.1, 1.0]),
        ("train.augmented_copies", [0, 100], [-1, 101]),
        ("train.head_epochs", [0], [-1, 10_001]),
        ("train.head_learning_rate", *RATE),
        ("train.epochs", [10_000], [-1, 10_001]),
        ("train.learning_rate", *RATE),
        ("train.warmup_epochs", [0], [-1, 1001]),
        ("train.weight_decay", [0, 1.0], [-0.1, 1.1]),
        ("train.clip_norm", [0, 1e9], [-0.1]),
        ("train.label_smoothing", *FRACTION),
        ("train.dropout", *FRACTION),
        ("train.augment.rotate", [0, 180.0], [-0.1, 180.1]),
        ("train.augment.shift", *FRACTION),
        ("train.augment.zoom", *FRACTION),
        ("train.augment.contrast", *FRACTION),
        ("train.early_stopping", [0], [-1]),
        ("train.seed", *SEED),
        ("evaluate.confidence", [0.5, 0.999], [0.49, 0.9999]),
        ("evaluate.figure_dpi", [50, 600], [49, 601]),
        ("run.workers", [0, 256], [-1, 257]),
        ("run.download_deadline", [1, 86_400], [0, 86_401]),
        ("run.checkpoint_seconds", [0, 86_400], [-1, 86_401]),
    ],
)
def test_a_number_is_in_its_range(key, good, bad):
    for value in good:
        read({key: value})
    for value in bad:
        assert f"{key} = {value}: should be " in refused({key: value})


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("download.source", ["sample", "kaggle", "local"]),
        ("split.group_by", ["none", "sequence", "subject"]),
        ("split.official", ["ignore", "use"]),
        (
            "evaluate.dataset",
            ["auto", "ckplus", "ckplus-owners", "fer2013", "jaffe", "kdef", "raf-db"],
        ),
        ("preprocess.color", ["grayscale", "rgb"]),
        ("train.backbone", BACKBONES),
        ("train.batchnorm", ["frozen", "updated"]),
        ("train.head", ["trained", "solved"]),
        ("train.schedule", ["constant", "cosine"]),
        ("train.class_weights", ["none", "balanced"]),
        ("train.optimizer", ["adam", "adamw", "sgd"]),
        ("train.monitor", ["loss", "accuracy", "none"]),
        ("train.backend", ["tensorflow", "jax"]),
        ("train.precision", ["float32", "mixed_bfloat16", "mixed_float16"]),
    ],
)
def test_a_choice_is_one_of_those_listed(key, choices):
    needed = {
        "train.backbone": {"train.input_size": 75},
        "train.optimizer": {"train.weight_decay": 0},
    }
    for choice in choices:
        read({key: choice, **needed.get(key, {})})
    *first, last = map(repr, choices)
    assert f"{key} = '!': should be {', '.join(first)} or {last}" in refused({key: "!"})


@pytest.mark.parametrize("folds", [2, 3, 118])
def test_any_number_of_folds_is_accepted(folds):
    assert len(read({"cv.folds": list(range(folds))}).folds) == folds


def test_seeds_of_the_cross_validation_are_in_their_range():
    assert read({"cv.seeds": SEED[0]}).seeds == SEED[0]
    for value in (-1, 2**32, "1", True, None):
        assert "cv.seeds.1 = " in refused({"cv.seeds": [1, value]})


KAGGLE = "https://www.kaggle.com/"


@pytest.mark.parametrize(
    ("text", "dataset", "version"),
    [
        ("jon-doe/faces_1.0", "jon-doe/faces_1.0", None),
        (f"{KAGGLE}datasets/a/b", "a/b", None),
        (f"{KAGGLE}datasets/a/b?select=train", "a/b", None),
        (f"{KAGGLE}datasets/a/b/data#files", "a/b", None),
        (f"{KAGGLE}datasets/a/b/versions/3", "a/b", 3),
        (f"{KAGGLE}a/b", "a/b", None),
        ("kaggle.com/datasets/a/b/", "a/b", None),
        (f"{KAGGLE}api/v1/datasets/download/a/b", "a/b", None),
        ("kaggle datasets download a/b", "a/b", None),
        ("kaggle datasets download -d a/b --unzip", "a/b", None),
        ("c/fer", "competitions/fer", None),
        ("competitions/fer", "competitions/fer", None),
        (f"{KAGGLE}c/fer/data", "competitions/fer", None),
        (f"{KAGGLE}competitions/fer/rules?x=1", "competitions/fer", None),
        ("kaggle competitions download -c fer", "competitions/fer", None),
    ],
)
def test_a_data_set_may_be_the_address_of_its_page(text, dataset, version):
    kaggle = read({"download.kaggle.dataset": text}).kaggle
    assert (kaggle.dataset, kaggle.version) == (dataset, version)


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        (f"{KAGGLE}datasets/a/b/versions/3", 2, "dataset is the address of version 3"),
        ("c/fer", 2, "a competition has no versions; set version to null"),
    ],
)
def test_the_version_fits_the_address(text, version, message):
    changes = {"download.kaggle.dataset": text, "download.kaggle.version": version}
    assert f"download.kaggle: {message}" in refused(changes)


@pytest.mark.parametrize("digest", ["", SHA[:-1], SHA + "0", SHA.upper(), SHA + "\n"])
def test_a_digest_is_64_lower_case_hexadecimal_digits(digest):
    read({"download.expect.digest": SHA})
    message = refused({"download.expect.digest": digest})
    assert f"download.expect.digest = {digest!r}: " in message


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.backbone", "resnet101", " = 'resnet101': did you mean 'ResNet101'? It should be "),
        ("train.weights", "", " = ''"),
        ("cv.seeds", [], " = []: List should have at least 1 item"),
        ("cv.seeds", [1, 2, 1], " = [1, 2, 1]: seeds should differ"),
        ("cv.seeds", 3, " = 3: should be a valid list"),
        ("cv.folds", [0], " = [0]: List should have at least 2 items"),
        ("cv.folds", [1, 2, 3], " = [1, 2, 3]: should be 0, 1, 2 and so on, such as [0, 1, 2"),
        ("cv.folds", [0, 2], " = [0, 2]: should be 0, 1, 2 and so on"),
        ("cv.folds", [0, 1, 1], " = [0, 1, 1]: should be 0, 1, 2 and so on"),
        ("cv.folds", 10, " = 10: should be a valid list"),
        ("split.assigned", "", " = '': "),
        ("split.assigned", "~/folds.csv", " = '~/folds.csv': "),
        *(
            ("download.kaggle.dataset", dataset, f" = {dataset!r}: ")
            for dataset in (
                "ckplus",
                "a/b/c",
                "https://example.com/a/b",
                "a/b c",
                "/a",
                "kaggle.com/a",
            )
        ),
        ("download.local.path", "", " = '': "),
        ("download.local.path", "~/faces", " = '~/faces': DVC does not expand `~`; write "),
        ("download.expect.class_counts", {"angry": 0}, ".angry = 0: should be greater than or "),
        ("download.expect.class_counts", {"angry": "3"}, ".angry = '3': should be a valid integer"),
        ("download.expect.class_counts", [3], " = [3]: should be indented"),
        (
            "split.name_pattern",
            "((?P<subject>S)",
            " = '((?P<subject>S)': is not a regular expression: missing )",
        ),
        (
            "split.name_pattern",
            "(?P<person>S)",
            " = '(?P<person>S)': has the group `person`; known: subject, sequence",
        ),
    ],
)
def test_a_wrong_value_is_refused(key, value, message):
    assert f": {key}{message}" in refused({key: value})


CONTRADICTIONS = {
    "split": [
        ({"folds": 5, "fold": 5}, "fold = 5 should be below folds = 5"),
        (
            {"test_size": 0.5, "val_size": 0.46},
            "test (0.5) and val_size (0.46) should leave at least 5% of the images for training",
        ),
        ({"folds": 2, "val_size": 0.46}, "test (0.5) and val_size (0.46) should leave"),
        (
            {"folds": 5, "official": "use"},
            "folds = 5 and official = 'use' both choose the test split; set folds to null",
        ),
        ({"official": "use", "val_size": 0.96}, "test (0) and val_size (0.96) should leave"),
    ],
    "train": [
        (
            {"weights": "imagenet"},
            "weights = 'imagenet': there are none for the backbone 'compact'",
        ),
        ({"weights_sha256": SHA}, "weights_sha256 goes with the path of a weights file"),
        (
            {"backbone": "VGG16", "weights": "imagenet", "weights_sha256": SHA},
            "weights_sha256 goes with the path of a weights file",
        ),
        (
            {"weights": "face.weights.h5"},
            "weights = 'face.weights.h5' needs weights_sha256, the file's SHA-256",
        ),
        ({"head_epochs": 1}, "head_epochs trains on a frozen backbone; with random weights use 0"),
        (
            {"weights": "imagenet", "backbone": "VGG16", "head": "solved", "head_epochs": 1},
            "head = 'solved' leaves nothing for head_epochs to train; use 0",
        ),
        (
            {"epochs": 0, "warmup_epochs": 0},
            "epochs = 0 needs head = 'solved'; a trained head needs epochs",
        ),
        (
            {"optimizer": "adam", "weight_decay": 0.01},
            "weight_decay needs the optimizer adamw or sgd; with adam use 0",
        ),
        ({"monitor": "none", "early_stopping": 2}, "early_stopping needs a metric; set monitor"),
        ({"epochs": 5, "warmup_epochs": 6}, "warmup_epochs = 6 is more than epochs = 5"),
        ({"backbone": "Xception"}, "input_size = 48: Xception takes 71 pixels or more"),
        (
            {"backbone": "Xception", "input_size": [96, 70]},
            "input_size = 70: Xception takes 71 pixels or more",
        ),
        ({"input_size": [48, 64]}, "input_size lists several sizes, which needs head = 'solved'"),
        (
            {"input_size": [48, 48], "head": "solved"},
            "input_size = [48, 48] lists a size twice",
        ),
        (
            {"input_size": [64, 96], "head": "solved", "backbone": "NASNetMobile"},
            "input_size lists several sizes, but NASNetMobile takes one only",
        ),
    ],
}


def in_section(section, changes):
    return {f"{section}.{key}": value for key, value in changes.items()}


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [(section, *case) for section, cases in CONTRADICTIONS.items() for case in cases],
)
def test_keys_that_contradict_each_other_are_refused(section, changes, message):
    assert f"{section}: {message}" in refused(in_section(section, changes))


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("split", {"folds": 5, "fold": 4}),
        ("split", {"test_size": 0.5, "val_size": 0.45}),
        ("split", {"folds": 2, "val_size": 0.45}),
        ("split", {"folds": 10, "test_size": 0.9}),  # test_size is not used with folds
        ("split", {"folds": None, "fold": 7}),  # fold is not used without folds
        ("split", {"group_by": "none", "name_pattern": ""}),
        ("split", {"group_by": "subject", "name_pattern": ""}),  # the layout may tell subjects
        ("split", {"official": "use", "test_size": 0.9}),  # nor is it with official parts
        ("train", {"backbone": "VGG16", "weights": "imagenet", "head_epochs": 3}),
        ("train", {"weights": "face.weights.h5", "weights_sha256": SHA, "head_epochs": 3}),
        ("train", {"optimizer": "sgd", "weight_decay": 0.1}),
        ("train", {"epochs": 5, "warmup_epochs": 5}),
        ("train", {"epochs": 0, "warmup_epochs": 0, "head": "solved"}),
    ],
)
def test_keys_that_fit_together_are_accepted(section, changes):
    read(in_section(section, changes))
