import copy
import json
import re

import jsonschema
import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import Experiment, json_schema, read_experiment
from ferpipe.params.reader import read_section, read_yaml
from ferpipe.params.split import Split
from ferpipe.tools import presets

VALIDATOR = jsonschema.Draft202012Validator(json.loads(json_schema()))


def test_the_committed_params_are_a_valid_experiment(root, values):
    assert read_experiment(root / "params.yaml").model_dump() == values


def test_a_broken_train_section_stops_the_check_but_not_split(write_params, project):
    write_params({"train.epochs": "many", "download.source": None})
    assert read_section(project / "params.yaml", "split", Split).seed == 1
    with pytest.raises(PipelineError, match=r"download\.source = null"):
        read_experiment(project / "params.yaml")


@pytest.mark.parametrize("section", Experiment.model_fields)
def test_every_section_is_needed(project, values, section):
    del values[section]
    (project / "params.yaml").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(PipelineError, match=f"{section}: this key is missing"):
        read_experiment(project / "params.yaml")


def test_an_unknown_section_suggests_the_close_one(project, values):
    values["trian"] = values.pop("train")
    (project / "params.yaml").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(PipelineError, match=r"trian: unknown key; did you mean `train`\?"):
        read_experiment(project / "params.yaml")


def test_the_committed_schema_is_that_of_the_models(root):
    assert (root / "params.schema.json").read_bytes() == json_schema().encode()


@pytest.mark.parametrize("preset", ["sample", "ckplus", "ckplus-seed"])
def test_the_schema_is_valid_and_accepts_the_presets(project, preset):
    VALIDATOR.check_schema(VALIDATOR.schema)
    presets.apply(preset, project / "params.yaml")
    VALIDATOR.validate(read_yaml(project / "params.yaml"))


@pytest.mark.parametrize("section", [None, "download", "split", "train", "evaluate", "cv", "run"])
def test_the_schema_rejects_an_unknown_key(values, section):
    changed = copy.deepcopy(values)
    (changed if section is None else changed[section])["epoch"] = 3
    with pytest.raises(jsonschema.ValidationError, match="'epoch' was unexpected"):
        VALIDATOR.validate(changed)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("download", "source", "web"),
        ("split", "test_size", "0.2"),
        ("split", "seed", -1),
        ("preprocess", "image_size", None),
        ("train", "deterministic", "yes"),
        ("cv", "seeds", []),
        ("cv", "seeds", [1, 1]),
    ],
)
def test_the_schema_rejects_a_wrong_value(values, section, key, value):
    values[section][key] = value
    with pytest.raises(jsonschema.ValidationError, match=re.escape(repr(value))):
        VALIDATOR.validate(values)


def test_every_key_of_the_schema_has_a_description():
    models = [VALIDATOR.schema, *VALIDATOR.schema["$defs"].values()]
    silent = [
        (model["title"], key)
        for model in models
        for key, facts in model["properties"].items()
        if "description" not in facts and "$ref" not in facts
    ]
    assert silent == []


def test_the_committed_params_name_their_schema_in_the_first_line(root):
    first = (root / "params.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=params.schema.json"
    assert (root / "params.schema.json").is_file()


def test_every_key_of_the_committed_params_has_a_comment(root):
    lines = (root / "params.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if re.match(r" *\w+: [^#]", line)]
    assert len(keys) > 40
    assert [line for line in keys if not re.search(r" # \S", line)] == []
