"""What a result was made of: data, params, digests and package versions; no date, path or machine.

The report and the model card tell it.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.data.index import content_digest, read_index
from ferpipe.params.download import Download
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, read_section
from ferpipe.params.split import Split
from ferpipe.params.train import Train
from ferpipe.report.datasets import KnownData, recognise

# What a result can depend on, beside the code.
PACKAGES = ("keras", "matplotlib", "numpy", "pillow", "scikit-learn", "tensorflow")


@dataclass(frozen=True)
class Provenance:
    """What a result was made of.

    Args:
        data: what is known of the data set.
        images: images of each class, in all splits.
        subjects: how many people they show; None where the names do not tell.
        sequences: recordings of each class; None where the names do not tell.
        params: section -> key (`augment.flip`) -> value, without what says where files lie.
        digests: what -> SHA-256.
        versions: package -> version, of the environment that judged.
    """

    data: KnownData
    images: dict[str, int]
    subjects: int | None
    sequences: dict[str, int] | None
    params: dict[str, dict[str, object]]
    digests: dict[str, str]
    versions: dict[str, str]


def read() -> Provenance:
    """Read params.yaml, the index, the split and the model file of this run.

    Raises:
        PipelineError: a file is missing or damaged, or a value of params.yaml is not allowed.
    """
    download = read_section(paths.PARAMS, "download", Download)
    sections: dict[str, Section] = {
        "split": read_section(paths.PARAMS, "split", Split),
        "preprocess": read_section(paths.PARAMS, "preprocess", Preprocess),
        "train": read_section(paths.PARAMS, "train", Train),
        "evaluate": read_section(paths.PARAMS, "evaluate", Evaluate),
    }
    index = read_index(paths.INDEX)
    rows = files.read_csv(paths.SPLIT, paths.SPLIT_COLUMNS)
    content = content_digest((row["path"], row["sha256"]) for row in index)
    counts = Counter(row["label"] for row in index)
    recordings: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        recordings[row["label"]].add(row["sequence"])
    told = {key: all(row[key] for row in rows) for key in ("subject", "sequence")}
    return Provenance(
        data=recognise(content, download.source, download.kaggle.dataset),
        images={name: counts[name] for name in sorted(counts)},
        subjects=len({row["subject"] for row in rows}) if told["subject"] else None,
        sequences=(
            {name: len(recordings[name]) for name in sorted(recordings)}
            if told["sequence"]
            else None
        ),
        params={
            "download": _source(download),
            **{name: dict(_leaves(section)) for name, section in sections.items()},
        },
        digests={
            "images (content)": content,
            "split.csv": _sha256(paths.SPLIT),
            "model.keras": _sha256(paths.MODEL),
        },
        versions={
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source(params: Download) -> dict[str, object]:
    """What `download` says of the images themselves, not of where they lay."""
    told: dict[str, object] = {"source": params.source}
    if params.source != "local":
        used = getattr(params, params.source)
        told |= {f"{params.source}.{key}": value for key, value in _leaves(used)}
    return told


def _leaves(section: Section) -> Iterator[tuple[str, object]]:
    """Every key of a section with its value; of a weights file the name alone."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from ((f"{key}.{name}", leaf) for name, leaf in _leaves(value))
        else:
            yield key, Path(value).name if key == "weights" else value
