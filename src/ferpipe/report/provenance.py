"""What a result was made from: data, params, digests and versions; no date, path or host."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.tables import read_table
from ferpipe.data.index import content_digest, read_index
from ferpipe.params.experiment import Experiment, read_experiment
from ferpipe.params.reader import Section
from ferpipe.report.datasets import KnownData, recognise

# Packages that a result can depend on.
PACKAGES = ("keras", "matplotlib", "numpy", "pillow", "scikit-learn", "tensorflow")
STAGES = ("split", "preprocess", "train", "evaluate")


@dataclass(frozen=True)
class Provenance:
    """What a result was made from."""

    data: KnownData
    images: dict[str, int]  # of each class, in all splits
    subjects: int | None  # number of people; None if some file name does not state the person
    sequences: dict[str, int] | None  # recordings of each class; None if a name states none
    params: dict[str, dict[str, object]]  # section -> key, such as `augment.flip` -> value
    digests: dict[str, str]  # file -> SHA-256
    versions: dict[str, str]  # package -> version


def read() -> Provenance:
    """Read params.yaml, the index, the split and the model file.

    Raises:
        PipelineError: a file is missing or damaged, or a value of params.yaml is not allowed.
    """
    experiment = read_experiment(paths.PARAMS)
    index = read_index(paths.INDEX)
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    content = content_digest(zip(index["path"], index["sha256"], strict=True))
    known = {key: bool((split[key] != "").all()) for key in ("subject", "sequence")}
    sequences = split.groupby("label")["sequence"].nunique().to_dict()
    return Provenance(
        data=recognise(content, experiment.download.source, experiment.download.kaggle.dataset),
        images=index["label"].value_counts().sort_index().to_dict(),
        subjects=split["subject"].nunique() if known["subject"] else None,
        sequences=sequences if known["sequence"] else None,
        params={
            "download": _source(experiment),
            **{name: dict(_leaves(getattr(experiment, name))) for name in STAGES},
        },
        digests={
            "images (content)": content,
            "split.csv": files.sha256(paths.SPLIT),
            "model.keras": files.sha256(paths.MODEL),
        },
        versions={
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    )


def _source(experiment: Experiment) -> dict[str, object]:
    """The params of the source in use; a local path says nothing about the images."""
    source = experiment.download.source
    params: dict[str, object] = {"source": source}
    if source != "local":
        section = getattr(experiment.download, source)
        params |= {f"{source}.{key}": value for key, value in _leaves(section)}
    return params


def _leaves(section: Section) -> Iterator[tuple[str, object]]:
    """Every key of a section with its value; of a weights file only the name."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from ((f"{key}.{name}", leaf) for name, leaf in _leaves(value))
        else:
            yield key, Path(value).name if key == "weights" else value
