"""All sections of params.yaml: the model that `ferpipe check` uses, and the JSON schema."""

from __future__ import annotations

import json
from pathlib import Path

from ferpipe.params.cv import CrossValidation
from ferpipe.params.download import Download
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, checked, read_yaml
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.params.train import Train


class Experiment(Section):
    """All sections of params.yaml. Only tools read it whole: a stage reads its own sections."""

    download: Download
    split: Split
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    cv: CrossValidation
    run: Run


def read_experiment(path: Path) -> Experiment:
    """Read and check a whole params file."""
    return checked(read_yaml(path), Experiment, path)


def json_schema() -> str:
    """The JSON schema of params.yaml."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | Experiment.model_json_schema(), indent=2) + "\n"
