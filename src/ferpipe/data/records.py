"""Reading the records: schema.json, and one split, in memory if it fits."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pydantic
from pydantic import ConfigDict, Field
from tqdm import tqdm

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.data import shards
from ferpipe.data.tfrecord import REMEDY

SCHEMA = "schema.json"
# The one split of the cross-validation's records: all images.
ALL = "all"
# What the images of a split may take in memory where `run.memory_mb` is not read.
MEMORY_MB, MB = 1024, 1_000_000

ShardName = Annotated[str, Field(pattern=r"^[a-z]+-\d+-of-\d+\.tfrecord$")]  # no path out


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Schema:
    """The content of schema.json.

    Args:
        image_size: side of the images, in pixels.
        channels: 1 (grayscale) or 3 (RGB).
        classes: class names; a record's label is an index into them.
        shards: the shard files of each split, in reading order.
        images: how many images each split has.
        sha256: SHA-256 of each shard and index (see `shards`), by its file name.
        selected_on_test: True when there is no val, so that test also selects the epoch.
    """

    image_size: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]
    classes: list[str]
    shards: dict[str, list[ShardName]]
    images: dict[str, Annotated[int, Field(ge=0)]]
    sha256: dict[str, str]
    selected_on_test: bool

    @property
    def selected_on(self) -> str:
        """The split that selects the epoch: val or test."""
        return "test" if self.selected_on_test else "val"


@dataclass(frozen=True)
class Dataset:
    """A split: images uint8 (n, side, side, channels), labels int32 (n,), paths (n).

    Images that do not fit in memory are read when they are indexed.
    """

    images: shards.Images
    labels: np.ndarray
    paths: Sequence[str]

    def take(self, rows: np.ndarray) -> Dataset:
        """The images at int (m,) positions, in that order."""
        images = self.images[rows] if self.in_memory else self.images.select(rows)
        if isinstance(self.paths, shards.StoredPaths):
            return Dataset(images, self.labels[rows], self.paths.select(rows))
        return Dataset(images, self.labels[rows], [self.paths[row] for row in rows])

    @property
    def in_memory(self) -> bool:
        """Whether the images are an array."""
        return isinstance(self.images, np.ndarray)


def read_schema(folder: Path) -> Schema:
    """Read schema.json of a records folder; raises PipelineError if it is missing or invalid."""
    path = folder / SCHEMA
    try:
        schema = Schema(**files.read_json(path))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        # The key may be any text, line breaks included.
        raise PipelineError(f"{path}: {key!r}: {first['msg']}; {REMEDY}") from None
    if set(schema.shards) not in (set(SPLITS), {ALL}) or set(schema.images) != set(schema.shards):
        raise PipelineError(f"{path}: 'shards' and 'images' have other splits; {REMEDY}")
    listed = [name for names in schema.shards.values() for name in names]
    if sorted(schema.sha256) != sorted([*listed, *map(shards.index_name, schema.shards)]):
        raise PipelineError(f"{path}: 'sha256' and 'shards' have other files; {REMEDY}")
    return schema


def read_split(folder: Path, schema: Schema, name: str, memory_mb: int = MEMORY_MB) -> Dataset:
    """Open a split, in the archive's order: all of its shards are checked.

    Its images are read into memory if they take at most `memory_mb` million bytes.
    """
    index = _read_index(folder, schema, name)
    shape = (schema.image_size, schema.image_size, schema.channels)
    valid = len(index) == schema.images[name] and (index["label"] < len(schema.classes)).all()
    paths = [folder / shard for shard in schema.shards[name]]
    counts = np.bincount(index["shard"], minlength=len(paths))
    valid = valid and len(counts) == len(paths)
    progress = tqdm(paths, desc=f"checking {name}", disable=None, leave=False)
    for path, expected in zip(progress, counts, strict=False):
        count, (pixels, _, _) = shards.check(path, schema.sha256[path.name], SCHEMA)
        valid = valid and count == expected and len(pixels) == math.prod(shape)
    if not valid:
        raise PipelineError(f"the {name} images in {folder} do not match {SCHEMA}; {REMEDY}")
    files_of_split = shards.Shards(paths)
    images = shards.StoredImages(files_of_split, index, shape)
    return Dataset(
        images[:] if images.nbytes <= memory_mb * MB else images,
        index["label"].astype(np.int32),
        shards.StoredPaths(files_of_split, index),
    )


def _read_index(folder: Path, schema: Schema, name: str) -> np.ndarray:
    """The rows of `shards.INDEX` of a split."""
    path = folder / shards.index_name(name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    if hashlib.sha256(data).hexdigest() != schema.sha256[path.name]:
        raise PipelineError(f"{path} has another SHA-256 than in {SCHEMA}; {REMEDY}")
    index = np.load(io.BytesIO(data), allow_pickle=False)
    if index.dtype != shards.INDEX:
        raise PipelineError(f"{path} is an index of another format; {REMEDY}")
    return index
