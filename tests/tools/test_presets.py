import copy
import hashlib
import json
import re

import pytest
from ruamel.yaml import YAML

from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import read_experiment
from ferpipe.params.reader import read_yaml
from ferpipe.tools import presets

NAMES = ("ckplus", "ckplus-images", "ckplus-seed", "drawn", "sample")


@pytest.fixture
def params(project):
    """The committed params.yaml, to be changed."""
    return project / "params.yaml"


def keys_and_comments(text):
    """Each line without its value: what a preset may not change."""
    return [re.sub(r"^( *[\w]+:)( .*?)?( #.*)?$", r"\1\3", line) for line in text.splitlines()]


def test_the_presets_are_those_of_the_folder(project):
    assert presets.names() == sorted(p.stem for p in (project / "presets").iterdir())
    assert set(NAMES) <= set(presets.names())


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_gives_a_valid_experiment_with_its_values(name, params, project):
    presets.apply(name, params)
    found = read_experiment(params).model_dump()
    overlay = YAML(typ="safe", pure=True).load((project / "presets" / f"{name}.yaml").read_text())
    for section, values in overlay.items():
        for key, value in values.items():
            if isinstance(value, dict):
                value = found[section][key] | value
            assert found[section][key] == value


@pytest.mark.parametrize("name", NAMES)
def test_comments_and_order_stay(name, params):
    before = params.read_text(encoding="utf-8")
    presets.apply(name, params)
    after = params.read_text(encoding="utf-8")
    assert keys_and_comments(after) == keys_and_comments(before)


def test_the_committed_params_are_the_sample_preset(params):
    before = params.read_bytes()
    assert presets.apply("sample", params) == []
    assert params.read_bytes() == before


@pytest.mark.parametrize("name", ["ckplus", "ckplus-images", "ckplus-seed", "drawn"])
def test_the_sample_preset_takes_another_back_byte_for_byte(name, params):
    before = params.read_bytes()
    there = presets.apply(name, params)
    assert params.read_bytes() != before
    back = presets.apply("sample", params)
    assert params.read_bytes() == before
    assert [change.split(":")[0] for change in back] == [change.split(":")[0] for change in there]


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_applied_twice_changes_nothing_the_second_time(name, params):
    presets.apply(name, params)
    once = params.read_bytes()
    assert presets.apply(name, params) == []
    assert params.read_bytes() == once


def test_the_changes_are_told_with_key_old_and_new_value(params):
    changes = presets.apply("ckplus", params)
    assert "download.source: sample -> kaggle" in changes
    assert "split.val_size: 0.2 -> 0.1" in changes
    assert any(change.startswith("download.expect.digest: null -> ") for change in changes)


def test_what_a_preset_does_not_name_stays(params):
    text = params.read_text(encoding="utf-8").replace("figure_dpi: 120", "figure_dpi: 300")
    params.write_text(text.replace("workers: 0", "workers: 3"), encoding="utf-8")
    presets.apply("ckplus", params)
    assert "  figure_dpi: 300 # resolution" in params.read_text(encoding="utf-8")
    assert "  workers: 3 # threads" in params.read_text(encoding="utf-8")


def test_a_value_of_several_keys_is_replaced_as_a_whole(params, project):
    overlay = "download:\n  expect:\n    class_counts: {a: 1, b: 2}\n"
    (project / "presets" / "one.yaml").write_text(overlay)
    (project / "presets" / "two.yaml").write_text(overlay.replace("a: 1, b: 2", "c: 3"))
    presets.apply("one", params)
    presets.apply("two", params)
    assert read_experiment(params).download.expect.class_counts == {"c": 3}


def test_both_ckplus_presets_pin_the_same_981_images(params):
    found = []
    for name in ("ckplus", "ckplus-seed"):
        presets.apply(name, params)
        found.append(read_experiment(params).download.expect)
    assert found[0] == found[1]
    assert sum(found[0].class_counts.values()) == 981
    assert len(found[0].class_counts) == 7
    assert found[0].digest is not None


def test_ckplus_keeps_subjects_apart_and_the_published_run_does_not(params):
    presets.apply("ckplus", params)
    assert read_experiment(params).split.group_by == "subject"
    presets.apply("ckplus-seed", params)
    published = read_experiment(params)
    assert (published.split.group_by, published.split.val_size) == ("none", 0.0)
    assert (published.train.backbone, published.train.weights) == ("ResNet101", "imagenet")


@pytest.mark.parametrize("name", NAMES)
def test_a_header_opens_with_what_it_is_and_gives_the_command(name, project):
    lines = presets.header(name)
    text = (project / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    assert len(lines[0]) > 20
    assert not any(line.startswith("#") for line in lines)
    assert [f"# {line}".rstrip() for line in lines] == text.splitlines()[: len(lines)]
    assert any(line.startswith(f"Command: make repro PRESET={name}") for line in lines)


def test_an_unknown_preset_is_told_with_those_that_there_are(params):
    before = params.read_bytes()
    names = ", ".join(presets.names())
    for ask in (presets.header, lambda name: presets.apply(name, params)):
        with pytest.raises(PipelineError) as error:
            ask("ck+")
        assert str(error.value) == f"there is no preset 'ck+'; presets: {names}"
    assert params.read_bytes() == before


@pytest.mark.parametrize("name", ["../params", "sample.yaml", ""])
def test_a_preset_is_a_name_not_a_path(params, name):
    with pytest.raises(PipelineError, match="there is no preset "):
        presets.apply(name, params)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("train:\n  epochs: -1\n", "train.epochs = -1: should be greater than or equal to 0"),
        ("train:\n  epoch: 3\n", "train.epoch: unknown key; did you mean `epochs`?"),
        ("split:\n  folds: 3\n  fold: 3\n", "split: fold = 3 should be below folds = 3"),
    ],
)
def test_a_result_that_is_not_valid_leaves_the_file_as_it_was(params, project, overlay, message):
    (project / "presets" / "bad.yaml").write_text(overlay)
    before = params.read_bytes()
    with pytest.raises(PipelineError) as error:
        presets.apply("bad", params)
    assert str(error.value).startswith(f"{params} with the preset bad: {message}")
    assert params.read_bytes() == before
    assert list(project.glob(".*")) == []


def test_a_preset_does_not_mend_what_it_does_not_name(params):
    text = params.read_text(encoding="utf-8").replace("figure_dpi: 120", "figure_dpi: 1")
    params.write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=r"evaluate\.figure_dpi = 1: should be greater"):
        presets.apply("ckplus", params)
    assert params.read_text(encoding="utf-8") == text


def test_params_that_are_no_yaml_or_missing_are_told(params):
    params.write_text("a: [1\n")
    with pytest.raises(PipelineError, match="not valid YAML"):
        presets.apply("ckplus", params)
    params.unlink()
    with pytest.raises(PipelineError, match="is missing; run this in the repository's root"):
        presets.apply("ckplus", params)


@pytest.mark.parametrize("name", ["sample", "ckplus", "ckplus-seed"])
def test_a_preset_sets_all_that_its_promise_depends_on(project, values, name):
    """Whatever stood in params.yaml before, the experiment is the preset's."""
    presets.apply(name, project / "params.yaml")
    expected = read_yaml(project / "params.yaml")
    changed = copy.deepcopy(expected)
    changed["download"]["root"] = "elsewhere"
    changed["download"]["max_bad_fraction"] = 0.5
    changed["download"]["local"]["path"] = "faces.zip"
    if name == "sample":
        changed["download"]["sample"] = {"subjects": 5, "seed": 9}
    else:
        changed["download"]["kaggle"] = {"dataset": "some/other", "version": 3}
    changed["split"] |= {"seed": 7, "test_size": 0.4, "name_pattern": "(?P<subject>x)", "folds": 5}
    changed["split"] |= {"fold": 2, "group_by": "none", "val_size": 0.3}
    changed["preprocess"] = {"image_size": 64, "color": "rgb", "shard_size": 7}
    other = {"backbone": "VGG16", "weights": "x.h5", "weights_sha256": "0" * 64, "seed": 5}
    numbers = {
        key: value + 1
        for key, value in expected["train"].items()
        if type(value) in (int, float) and key not in ("dropout", "label_smoothing")
    }
    changed["train"] |= numbers | other | {"optimizer": "sgd", "schedule": "constant"}
    changed["train"] |= {"deterministic": False, "precision": "mixed_bfloat16", "dropout": 0.7}
    changed["train"] |= {"label_smoothing": 0.7, "class_weights": "balanced"}
    changed["train"]["monitor"] = "accuracy" if name != "ckplus-seed" else "loss"
    changed["train"]["batchnorm"] = "updated" if name != "ckplus-seed" else "frozen"
    changed["train"]["augment"] = {
        "flip": name == "ckplus-seed",
        **dict.fromkeys(("rotate", "shift", "zoom", "contrast"), 0.5),
    }
    (project / "params.yaml").write_text(json.dumps(changed))
    presets.apply(name, project / "params.yaml")
    assert read_yaml(project / "params.yaml") == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_of_a_preset_are_there_with_their_hash(name, params, root):
    presets.apply(name, params)
    train = read_experiment(params).train
    if train.weights_sha256 is not None:
        file = (root / train.weights).read_bytes()
        assert hashlib.sha256(file).hexdigest() == train.weights_sha256
