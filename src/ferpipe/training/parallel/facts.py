"""What all processes of a group must have alike, as digests that are compared before they start."""

from __future__ import annotations

import importlib.metadata
import os
from contextlib import suppress

from ferpipe.core import machine, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import records
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train
from ferpipe.training.fingerprint import digest, inputs_of

# What a process says whose digest differs from that of process 0.
DIFFERENCES = {
    "train": f"the section `train` of {paths.PARAMS} is another one here; copy the file",
    "records": f"{paths.RECORDS} has other images here; copy the folder",
    "code": "src/ferpipe has other code here; check out the same commit",
    "packages": "other versions of Keras, JAX, NumPy, SciPy or scikit-learn are installed here; "
    "install the same lock file",
    "device": "JAX computes on a GPU here and not at process 0, or the other way round; "
    "`make venv GPU=1` installs its plugin",
}
PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")


def check_params(processes: int) -> Train:
    """The section `train`; raises PipelineError if so many processes cannot train with it."""
    params = read_section(paths.PARAMS, "train", Train)
    if params.backend != "jax":
        raise PipelineError(
            f"{paths.PARAMS}: train.backend = {params.backend} trains in one process; for several "
            "set train.backend to jax"
        )
    if params.batch_size % processes:
        raise PipelineError(
            f"{paths.PARAMS}: train.batch_size = {params.batch_size} cannot be divided among "
            f"{processes} processes; set it to a multiple of {processes}"
        )
    return params


def facts(processes: int) -> dict[str, str]:
    """The digests of this process; raises PipelineError if it cannot train."""
    params = check_params(processes)
    schema = paths.RECORDS / records.SCHEMA
    if not schema.is_file():
        raise PipelineError(
            f"{schema} is missing; copy the folder {paths.RECORDS} from process 0, or run "
            "`dvc repro preprocess`"
        )
    values = {**inputs_of(params, paths.RECORDS), "device": _device()}
    return {name: digest(value) for name, value in values.items()}


def _device() -> list[object]:
    """What decides on which kind of device JAX computes, without importing it."""
    versions = {}
    for name in PLUGINS:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return [bool(machine.visible_gpus()), versions, os.environ.get("JAX_PLATFORMS", "")]


def difference(first: dict[str, str], own: dict[str, str]) -> str:
    """The first thing that differs from process 0, with a remedy; empty if all is alike."""
    return next((text for name, text in DIFFERENCES.items() if first[name] != own[name]), "")
