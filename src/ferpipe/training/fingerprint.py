"""What determines a training, apart from the machine: params, records, code and packages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from itertools import chain
from pathlib import Path

from ferpipe.core import files
from ferpipe.data.records import SCHEMA
from ferpipe.params.train import Train

PACKAGE = Path(__file__).parents[1]
# Code of the package that determines a training: what the stage lists in dvc.yaml.
CODE = (
    *("core", "model", "training"),
    *("data/records.py", "data/shards.py", "data/tfrecord.py"),
    *("params/reader.py", "params/train.py"),
)
# Other packages that determine it.
PACKAGES = ("keras", "numpy", "scikit-learn", "scipy")
BACKENDS = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}


def inputs_of(params: Train, records: Path) -> dict[str, object]:
    """What determines a training, as JSON values by kind."""
    paths_of_code = (PACKAGE / name for name in CODE)
    sources = chain(*(path.rglob("*.py") if path.is_dir() else [path] for path in paths_of_code))
    packages = (*PACKAGES, *BACKENDS[params.backend])
    return {
        "train": params.model_dump(),
        "records": files.sha256(records / SCHEMA),  # which has the digests of all other files
        "code": {file.relative_to(PACKAGE).as_posix(): files.sha256(file) for file in sources},
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }


def digest(value: object) -> str:
    """A hash of JSON values, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
