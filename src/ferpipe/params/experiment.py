"""The whole of params.yaml: what `ferpipe check` checks, and the schema that editors use."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from ferpipe.params.cv import CrossValidation
from ferpipe.params.download import Download
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, checked, read_yaml
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.params.train import Train


class Experiment(Section):
    """Every section. Only people's tools import this: a stage reads its own section."""

    download: Download = Field(description="which images the experiment is made of")
    split: Split = Field(description="which images train, which choose and which judge")
    preprocess: Preprocess = Field(description="what the cached records hold")
    train: Train = Field(description="the network and how it learns")
    evaluate: Evaluate = Field(description="how results are told")
    cv: CrossValidation = Field(description="how often the cross-validation is repeated")
    run: Run = Field(description="what cannot change an output")


def read_experiment(path: Path) -> Experiment:
    """Read and check a whole params file.

    Raises:
        PipelineError: one line that names the key, the value and what is allowed.
    """
    return checked(read_yaml(path), Experiment, path)


def json_schema() -> str:
    """The JSON schema of params.yaml, as text that ends with a line break."""
    schema = Experiment.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"
