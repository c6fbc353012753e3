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

# SHA-256 of the sections that the results in a header depend on: measure those again before you
# change one.
MEASURED = {
    "ckplus": "194305044089a0a27e80f7729737bc23a253350375aee7592ddbe8d1893b6da8",
    "ckplus-imagenet": "4a8fc35053d35833241fec5427976ccb8e529a30d278396f7fe10238da3bec6d",
    "ckplus-images": "c09029501478cce8e55b3eca6efe482406dc84039df220b4cabc3bed05fadb9d",
    "ckplus-seed": "6beac28f023ae8b967100d8dd8bf86a99978ddfec6ad5f7e601f2fc9ce11bccc",
    "drawn": "9927d36117b18ed452c27f2ffd5dbff8e87d302061787a216d7c4ada7c5d095e",
    "sample": "96d8b4dfd73c82768fa7b3345546307410eb94a1ac1e53b5f10874b036302a04",
}
# Presets for data sets that nobody has run here: their header says so and gives no result.
NOT_MEASURED = ("ckplus-owners", "fer2013", "fer2013-csv", "jaffe", "kdef", "raf-db")
ALL = sorted((*MEASURED, *NOT_MEASURED))


@pytest.fixture
def params(project):
    """A copy of the committed params.yaml."""
    return project / "params.yaml"


@pytest.fixture
def add_preset(project):
    """Write another preset into the project."""

    def add(name, overlay):
        (project / "presets" / f"{name}.yaml").write_text(overlay, encoding="utf-8")

    return add


def plain(path):
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


# Mappings that are values, not sections.
VALUES = ("class_counts", "columns", "parts", "classes")


def leaves(values, prefix=""):
    """`{"augment.flip": True, ...}` of nested mappings."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict) and key not in VALUES:
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def keys_and_comments(text):
    """Each line without its value: what a preset may not change."""
    return [re.sub(r"^( *[\w]+:)( .*?)?( #.*)?$", r"\1\3", line) for line in text.splitlines()]


def test_the_presets_are_all_files_but_the_base(project):
    files = {path.stem for path in (project / "presets").iterdir()}
    assert presets.names() == sorted(files - {"base"})
    assert presets.names() == ALL


@pytest.mark.parametrize("name", MEASURED)
def test_a_preset_is_the_experiment_that_was_measured(name, params):
    presets.apply(name, params)
    experiment = read_experiment(params).model_dump(
        include={"download", "split", "preprocess", "train"}
    )
    text = json.dumps(experiment, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == MEASURED[name]


@pytest.mark.parametrize("name", ALL)
def test_a_preset_holds_only_what_differs_from_the_base(name, project):
    base = leaves(plain(project / "presets" / "base.yaml"))
    overlay = leaves(plain(project / "presets" / f"{name}.yaml") or {})
    assert [key for key, value in overlay.items() if value == base[key]] == []
    assert overlay


@pytest.mark.parametrize("name", ALL)
def test_comments_and_order_are_those_of_the_base(name, params, project):
    presets.apply(name, params)
    base = (project / "presets" / "base.yaml").read_text(encoding="utf-8")
    assert keys_and_comments(params.read_text(encoding="utf-8")) == keys_and_comments(base)


def test_the_committed_params_are_the_sample_preset_byte_for_byte(params, project):
    before = params.read_bytes()
    assert presets.apply("sample", params) == []
    assert params.read_bytes() == before


def other(value):
    """Another value, valid or not."""
    if isinstance(value, bool):
        return None
    return [*value, 9] if isinstance(value, list) else f"{value}x"


def changed(values):
    return {
        key: changed(value) if isinstance(value, dict) and key not in VALUES else other(value)
        for key, value in values.items()
    }


@pytest.mark.parametrize("name", ALL)
def test_the_result_does_not_depend_on_the_old_params(name, params, values):
    presets.apply(name, params)
    expected = params.read_bytes()
    params.write_text(json.dumps(changed(values)))
    keys = {change.split(": ")[0] for change in presets.apply(name, params)}
    assert params.read_bytes() == expected
    assert keys == set(leaves(values))  # cv, evaluate and run too


def test_unknown_and_missing_keys_are_among_the_changes(params, values):
    values["trian"] = {"epochs": 3}
    del values["split"]["seed"]
    values["run"] = None
    params.write_text(json.dumps(values))
    assert presets.apply("sample", params) == [
        "split.seed: absent -> 1",
        "run: null -> {workers: 0, memory_mb: 1024, download_deadline: 900, "
        "checkpoint_seconds: 10}",
        "trian: {epochs: 3} -> absent",
    ]


def test_lost_comments_are_reported_if_no_value_changes(params, values):
    before = params.read_bytes()
    params.write_text(json.dumps(values))
    (change,) = presets.apply("sample", params)
    assert change == "no value changed; comments and layout are those of presets/base.yaml again"
    assert params.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml was missing: written"),
        ("a: [1\n", "params.yaml, line 2: not valid YAML: "),
        ("", "params.yaml should hold sections, found NoneType: replaced"),
        ("- a\n", "params.yaml should hold sections, found list: replaced"),
        ("a: \xff".encode("latin-1"), "params.yaml: not valid YAML: 'utf-8' codec"),
    ],
)
def test_missing_or_damaged_params_are_replaced(params, text, message):
    expected = params.read_bytes()
    params.unlink()
    if text is not None:
        params.write_bytes(text if isinstance(text, bytes) else text.encode())
    (change,) = presets.apply("sample", Path("params.yaml"))
    assert change.startswith(message)
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


def test_all_ckplus_presets_pin_the_same_981_images(params):
    expected = []
    for name in ("ckplus", "ckplus-imagenet", "ckplus-images", "ckplus-seed"):
        presets.apply(name, params)
        expected.append(read_experiment(params).download.expect)
    assert expected[0] == expected[1] == expected[2]
    assert sum(expected[0].class_counts.values()) == 981
    assert expected[0].digest is not None


@pytest.mark.parametrize("name", ALL)
def test_a_header_gives_the_command(name, project):
    lines = presets.header(name)
    text = (project / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    assert [f"# {line}".rstrip() for line in lines] == text.splitlines()[: len(lines)]
    assert any(line.startswith(f"Command: make repro PRESET={name}") for line in lines)


@pytest.mark.parametrize("name", NOT_MEASURED)
def test_a_header_without_a_result_says_so(name):
    text = " ".join(presets.header(name))
    assert "Wall time: not measured" in text
    assert "Expected: not measured. The " in text
    assert "files were not run here" in text
    assert "%" not in text


@pytest.mark.parametrize("name", ["ck+", "base", "../params", "sample.yaml", ""])
def test_the_error_about_an_unknown_preset_lists_all(params, name):
    before = params.read_bytes()
    for ask in (presets.header, lambda name: presets.apply(name, params)):
        with pytest.raises(PipelineError) as error:
            ask(name)
        assert str(error.value) == f"there is no preset {name!r}; presets: {', '.join(ALL)}"
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
        ("train:\n", "presets/bad.yaml over presets/base.yaml: train = null: should be indented"),
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
        ("a: 1\na: 2\n", "presets/bad.yaml, line 2: not valid YAML: the key `a` is there twice"),
        ("- train\n", "presets/bad.yaml should hold sections, such as `train:`"),
    ],
)
def test_an_invalid_preset_changes_no_file(params, project, add_preset, overlay, message):
    add_preset("bad", overlay)
    before = params.read_bytes()
    with pytest.raises(PipelineError) as error:
        presets.apply("bad", params)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert params.read_bytes() == before
    assert list(project.glob(".*")) == []


def test_a_key_or_file_missing_in_the_base_is_an_error(params, project):
    base = project / "presets" / "base.yaml"
    text = base.read_text(encoding="utf-8").splitlines(keepends=True)
    base.write_text("".join(line for line in text if " contrast:" not in line), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"base\.yaml: train\.augment\.contrast: .* missing"):
        presets.apply("sample", params)
    base.unlink()
    with pytest.raises(PipelineError, match=r"presets/base\.yaml is missing; run this in the"):
        presets.apply("sample", params)


@pytest.mark.parametrize("name", ALL)
def test_the_weights_of_a_preset_are_there_with_their_hash(name, params, root):
    presets.apply(name, params)
    train = read_experiment(params).train
    if train.weights_sha256 is not None:
        file = (root / train.weights).read_bytes()
        assert hashlib.sha256(file).hexdigest() == train.weights_sha256
