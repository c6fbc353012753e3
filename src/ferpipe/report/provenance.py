"""What a result was made from: data, params, digests and versions; no date, path or host."""

from __future__ import annotations

import platform
import re
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
    skipped: dict[str, int]  # files of the source that are left out, by reason
    digests: dict[str, str]  # file -> SHA-256
    versions: dict[str, str]  # package -> version


def read() -> Provenance:
    """Read params.yaml, the index, the skipped files, the split and the model file.

    Raises:
        PipelineError: a file is missing or damaged, or a value of params.yaml is not allowed.
    """
    experiment = read_experiment(paths.PARAMS)
    index = read_index(paths.INDEX)
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    content = content_digest(zip(index["path"], index["sha256"], strict=True))
    skipped = read_table(paths.SKIPPED, paths.SKIPPED_COLUMNS)["reason"]
    assigned = files.read_json(paths.SPLIT_AUDIT).get("assigned_sha256")
    known = {key: bool((split[key] != "").all()) for key in ("subject", "sequence")}
    sequences = split.groupby("label")["sequence"].nunique().to_dict()
    return Provenance(
        data=recognise(
            content,
            experiment.download.source,
            experiment.download.kaggle.dataset,
            experiment.evaluate.dataset,
        ),
        images=index["label"].value_counts().sort_index().to_dict(),
        subjects=split["subject"].nunique() if known["subject"] else None,
        sequences=sequences if known["sequence"] else None,
        params={
            "download": _source(experiment),
            **{name: dict(_leaves(getattr(experiment, name))) for name in STAGES},
        },
        skipped=skipped.map(_kind).value_counts(sort=False).sort_index().to_dict(),
        digests={
            "images (content)": content,
            **({"split.assigned": assigned} if assigned else {}),
            "split.csv": files.sha256(paths.SPLIT),
            "trained.keras": files.sha256(paths.TRAINED),
        },
        versions={
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    )


def _kind(reason: str) -> str:
    """The reason without its details: what stands before a colon, comma or parenthesis."""
    return re.split(r"[:,;(]", reason, maxsplit=1)[0].strip()


def _source(experiment: Experiment) -> dict[str, object]:
    """The params of the source in use; a local path says nothing about the images."""
    source = experiment.download.source
    params: dict[str, object] = {"source": source}
    if source != "local":
        section = getattr(experiment.download, source)
        params |= {f"{source}.{key}": value for key, value in _leaves(section)}
    return params


def _leaves(section: Section) -> Iterator[tuple[str, object]]:
    """Every key of a section with its value; of the user's files only the name."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from ((f"{key}.{name}", leaf) for name, leaf in _leaves(value))
        else:
            yield key, Path(value).name if key in ("weights", "assigned") else value
