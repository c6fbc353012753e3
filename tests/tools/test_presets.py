import hashlib
import io
import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import read_experiment
from ferpipe.tools import presets

NAMES = ("ckplus", "ckplus-images", "ckplus-seed", "drawn", "sample")
# What the results in the headers depend on, most of it inherited from the base in some presets.
COMPACT = {
    "backbone": "compact",
    "input_size": 48,
    "batch_size": 32,
    "augmented_copies": 4,
    "learning_rate": 0.005,
    "schedule": "cosine",
    "optimizer": "adamw",
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "monitor": "loss",
    "precision": "float32",
    "seed": 1,
    "augment.flip": True,
}
SOLVED = COMPACT | {
    "head": "solved",
    "mirror_average": True,
    "epochs": 0,
    "warmup_epochs": 0,
    "weight_decay": 0.05,
    "dropout": 0.4,
    "augment.rotate": 5.0,
    "augment.shift": 0.025,
    "augment.zoom": 0.05,
    "augment.contrast": 0.0,
}
DECISIVE = {
    "sample": {
        "download": {"source": "sample", "sample.subjects": 48, "sample.seed": 1},
        "split": {"seed": 1, "test_size": 0.2, "val_size": 0.2, "group_by": "subject"},
        "train": COMPACT
        | {
            **{"weights": "none", "head": "trained", "epochs": 12, "warmup_epochs": 1},
            **{"weight_decay": 0.01, "dropout": 0.3},
            **{"augment.rotate": 10.0, "augment.shift": 0.08},
            **{"augment.zoom": 0.1, "augment.contrast": 0.2},
        },
    },
    "drawn": {
        "download": {"source": "sample", "sample.subjects": 999, "sample.seed": 78},
        "split": {"seed": 1, "test_size": 0.05, "val_size": 0.05, "group_by": "subject"},
        "train": COMPACT
        | {
            **{"weights": "none", "head": "trained", "epochs": 8, "warmup_epochs": 1},
            **{"learning_rate": 0.004, "weight_decay": 0.05, "dropout": 0.4},
            **{"augment.rotate": 12.0, "augment.shift": 0.08},
            **{"augment.zoom": 0.15, "augment.contrast": 0.3},
        },
    },
    "ckplus": {
        "download": {"source": "kaggle", "kaggle.dataset": "shawon10/ckplus"},
        "split": {"seed": 1, "test_size": 0.2, "val_size": 0.1, "group_by": "subject"},
        "train": SOLVED | {"weights": "models/drawn.keras", "ridge": 0.6},
    },
    "ckplus-images": {
        "download": {"source": "kaggle", "kaggle.dataset": "shawon10/ckplus"},
        "split": {"seed": 1, "test_size": 0.2, "val_size": 0.0, "group_by": "none"},
        "train": SOLVED | {"weights": "none", "ridge": 0.3},
    },
    "ckplus-seed": {
        "download": {"source": "kaggle", "kaggle.dataset": "shawon10/ckplus"},
        "split": {"seed": 1, "test_size": 0.2, "val_size": 0.0, "group_by": "none"},
        "train": {
            **{"backbone": "ResNet101", "weights": "imagenet", "input_size": 224, "batch_size": 8},
            **{"batchnorm": "updated", "head": "trained", "head_epochs": 0, "epochs": 50},
            **{"learning_rate": 0.0001, "schedule": "constant", "warmup_epochs": 0},
            **{"optimizer": "adam", "weight_decay": 0.0, "clip_norm": 0.0},
            **{"label_smoothing": 0.0, "dropout": 0.0, "monitor": "accuracy"},
            **{"augment.flip": False, "augment.rotate": 0.0, "augment.shift": 0.0},
            **{"augment.zoom": 0.0, "augment.contrast": 0.0},
        },
    },
}


@pytest.fixture
def params(project):
    """The committed params.yaml, to be changed."""
    return project / "params.yaml"


@pytest.fixture
def add_preset(project):
    """Write another preset into the project."""

    def add(name, overlay):
        (project / "presets" / f"{name}.yaml").write_text(overlay, encoding="utf-8")

    return add


def plain(path):
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def leaves(values, prefix=""):
    """`{"augment.flip": True, ...}` of nested mappings; class_counts is a value."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict) and key != "class_counts":
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def keys_and_comments(text):
    """Each line without its value: what a preset may not change."""
    return [re.sub(r"^( *[\w]+:)( .*?)?( #.*)?$", r"\1\3", line) for line in text.splitlines()]


def test_the_presets_are_the_files_beside_the_base(project):
    files = {path.stem for path in (project / "presets").iterdir()}
    assert presets.names() == sorted(files - {"base"})
    assert presets.names() == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_gives_a_valid_experiment_with_its_decisive_values(name, params):
    presets.apply(name, params)
    experiment = read_experiment(params).model_dump()
    for section, expected in DECISIVE[name].items():
        found = leaves(experiment[section])
        assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_holds_only_what_differs_from_the_base(name, project):
    base = leaves(plain(project / "presets" / "base.yaml"))
    overlay = leaves(plain(project / "presets" / f"{name}.yaml") or {})
    assert [key for key, value in overlay.items() if value == base[key]] == []
    assert bool(overlay) == (name != "sample")


def test_a_preset_that_differs_in_nothing_is_comments_only(project):
    lines = (project / "presets" / "sample.yaml").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("#") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_comments_and_order_are_those_of_the_base(name, params, project):
    presets.apply(name, params)
    base = (project / "presets" / "base.yaml").read_text(encoding="utf-8")
    assert keys_and_comments(params.read_text(encoding="utf-8")) == keys_and_comments(base)


def test_the_committed_params_are_the_sample_preset_byte_for_byte(params, project):
    before = params.read_bytes()
    assert presets.apply("sample", params) == []
    assert params.read_bytes() == before == (project / "presets" / "base.yaml").read_bytes()


@pytest.mark.parametrize("name", ["ckplus", "ckplus-images", "ckplus-seed", "drawn"])
def test_the_changes_to_a_preset_and_back_name_the_same_keys(name, params):
    there = presets.apply(name, params)
    back = presets.apply("sample", params)
    assert [change.split(":")[0] for change in back] == [change.split(":")[0] for change in there]


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_applied_twice_changes_nothing_the_second_time(name, params):
    presets.apply(name, params)
    once = params.read_bytes()
    assert presets.apply(name, params) == []
    assert params.read_bytes() == once


def test_the_changes_are_told_with_key_old_and_new_value(params):
    changes = presets.apply("ckplus", params)
    assert "download.source: 'sample' -> 'kaggle'" in changes
    assert "split.val_size: 0.2 -> 0.1" in changes
    assert "download.expect.class_counts: null -> {anger: 135, contempt: 54, " in "\n".join(changes)
    assert any(change.startswith("download.expect.digest: null -> ") for change in changes)


def other(value):
    """Another value, valid or not."""
    if isinstance(value, bool):
        return None
    return [*value, 9] if isinstance(value, list) else f"{value}x"


def changed(values):
    return {
        key: changed(value) if isinstance(value, dict) else other(value)
        for key, value in values.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_whatever_the_params_held_the_result_is_the_same(name, params, values):
    presets.apply(name, params)
    expected = params.read_bytes()
    params.write_text(json.dumps(changed(values)))
    told = {change.split(": ")[0] for change in presets.apply(name, params)}
    assert params.read_bytes() == expected
    assert told == set(leaves(values))  # cv, evaluate and run too


def test_a_change_of_the_users_that_a_preset_does_not_name_is_reset_and_told(params):
    text = params.read_text(encoding="utf-8").replace("figure_dpi: 120", "figure_dpi: 300")
    params.write_text(text.replace("workers: 0", "workers: 3"), encoding="utf-8")
    assert presets.apply("sample", params) == [
        "evaluate.figure_dpi: 300 -> 120",
        "run.workers: 3 -> 0",
    ]


def test_unknown_and_missing_keys_of_the_users_are_told(params, values):
    values["trian"] = {"epochs": 3}
    del values["split"]["seed"]
    values["run"] = None
    params.write_text(json.dumps(values))
    assert presets.apply("sample", params) == [
        "split.seed: absent -> 1",
        "run: null -> {workers: 0, download_deadline: 900, checkpoint_seconds: 10}",
        "trian: {epochs: 3} -> absent",
    ]


def test_lost_comments_are_told_where_no_value_changes(params, values):
    before = params.read_bytes()
    params.write_text(json.dumps(values))
    (told,) = presets.apply("sample", params)
    assert told == "no value changed; comments and layout are those of presets/base.yaml again"
    assert params.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml was missing: written"),
        ("a: [1\n", "params.yaml, line 2: not valid YAML: "),
        ("", "params.yaml should hold sections, found NoneType: replaced"),
        ("- a\n", "params.yaml should hold sections, found list: replaced"),
        ("a: \xff".encode("latin-1"), "params.yaml is not UTF-8 text: "),
    ],
)
def test_params_that_are_missing_or_damaged_are_replaced_and_told(params, text, message):
    expected = params.read_bytes()
    params.unlink()
    if text is not None:
        params.write_bytes(text if isinstance(text, bytes) else text.encode())
    (told,) = presets.apply("sample", Path("params.yaml"))
    assert told.startswith(message)
    assert params.read_bytes() == expected


def test_a_value_of_several_keys_is_replaced_as_a_whole(params, add_preset):
    overlay = "download:\n  expect:\n    class_counts: {a: 1, b: 2}\n"
    add_preset("one", overlay)
    add_preset("two", overlay.replace("a: 1, b: 2", "c: 3"))
    presets.apply("one", params)
    assert presets.apply("two", params) == [
        "download.expect.class_counts: {a: 1, b: 2} -> {c: 3}",
    ]
    assert read_experiment(params).download.expect.class_counts == {"c": 3}


def test_every_value_can_be_replaced_without_losing_a_comment(params, add_preset, values):
    """A comment after a list in block style would go with the list."""
    comments = re.findall("#.*", params.read_text(encoding="utf-8"))
    overlay = io.StringIO()
    YAML().dump(values, overlay)
    add_preset("all", overlay.getvalue())
    assert "all" in presets.names() and presets.apply("all", params)
    assert re.findall("#.*", params.read_text(encoding="utf-8")) == comments


def test_both_ckplus_presets_pin_the_same_981_images(params):
    found = []
    for name in ("ckplus", "ckplus-images", "ckplus-seed"):
        presets.apply(name, params)
        found.append(read_experiment(params).download.expect)
    assert found[0] == found[1] == found[2]
    assert sum(found[0].class_counts.values()) == 981
    assert len(found[0].class_counts) == 7
    assert found[0].digest is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_header_opens_with_what_it_is_and_gives_the_command(name, project):
    lines = presets.header(name)
    text = (project / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    assert len(lines[0]) > 20
    assert not any(line.startswith("#") for line in lines)
    assert [f"# {line}".rstrip() for line in lines] == text.splitlines()[: len(lines)]
    assert any(line.startswith(f"Command: make repro PRESET={name}") for line in lines)


@pytest.mark.parametrize("name", ["ck+", "base", "../params", "sample.yaml", ""])
def test_an_unknown_preset_is_told_with_those_that_there_are(params, name):
    before = params.read_bytes()
    for ask in (presets.header, lambda name: presets.apply(name, params)):
        with pytest.raises(PipelineError) as error:
            ask(name)
        assert str(error.value) == f"there is no preset {name!r}; presets: {', '.join(NAMES)}"
    assert params.read_bytes() == before


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            "train:\n  epochs: -1\n",
            "presets/bad.yaml over presets/base.yaml: train.epochs = -1: should be greater than",
        ),
        (
            "split:\n  folds: 3\n  fold: 3\n",
            "presets/bad.yaml over presets/base.yaml: split: fold = 3 should be below folds = 3",
        ),
        (
            "train:\n",
            "presets/bad.yaml over presets/base.yaml: train = null: should be indented",
        ),
        (
            "train:\n  epoch: 3\n",
            "presets/bad.yaml: train.epoch: unknown key; did you mean `epochs`? "
            "presets/base.yaml has here: backbone, weights, ",
        ),
        (
            "train:\n  augment:\n    shear: 3\n",
            "presets/bad.yaml: train.augment.shear: unknown key; presets/base.yaml has here: flip,",
        ),
        ("trian:\n  epochs: 3\n", "presets/bad.yaml: trian: unknown key; did you mean `train`? "),
        ("1: 2\n", "presets/bad.yaml: 1: unknown key; presets/base.yaml has here: download, "),
        ("train: [1\n", "presets/bad.yaml, line 2: not valid YAML: "),
        ("a: 1\na: 2\n", "presets/bad.yaml, line 2: not valid YAML: found duplicate key"),
        ("- train\n", "presets/bad.yaml should hold sections, such as `train:`"),
    ],
)
def test_a_preset_that_is_not_valid_leaves_the_file_as_it_was(
    params, project, add_preset, overlay, message
):
    add_preset("bad", overlay)
    before = params.read_bytes()
    with pytest.raises(PipelineError) as error:
        presets.apply("bad", params)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert params.read_bytes() == before
    assert list(project.glob(".*")) == []


def test_a_key_that_the_base_lacks_is_told(params, project):
    base = project / "presets" / "base.yaml"
    text = base.read_text(encoding="utf-8").splitlines(keepends=True)
    base.write_text("".join(line for line in text if " contrast:" not in line), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"base\.yaml: train\.augment\.contrast: .* missing"):
        presets.apply("sample", params)
    base.unlink()
    with pytest.raises(PipelineError, match=r"presets/base\.yaml is missing; run this in the"):
        presets.apply("sample", params)


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_of_a_preset_are_there_with_their_hash(name, params, root):
    presets.apply(name, params)
    train = read_experiment(params).train
    if train.weights_sha256 is not None:
        file = (root / train.weights).read_bytes()
        assert hashlib.sha256(file).hexdigest() == train.weights_sha256
