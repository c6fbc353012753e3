"""Reading the records: schema.json, and one split in memory."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pydantic
from pydantic import ConfigDict, Field

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.data.tfrecord import REMEDY, decode_frames

SCHEMA = "schema.json"
# The one split of the cross-validation's records: all images.
ALL = "all"

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
        sha256: SHA-256 of each shard, by its file name.
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
    """A split in memory: images uint8 (n, side, side, channels), labels int32 (n,), paths (n)."""

    images: np.ndarray
    labels: np.ndarray
    paths: list[str]

    def take(self, rows: np.ndarray) -> Dataset:
        """The images at int (m,) positions, in that order."""
        return Dataset(self.images[rows], self.labels[rows], [self.paths[row] for row in rows])


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
    if sorted(schema.sha256) != sorted(name for names in schema.shards.values() for name in names):
        raise PipelineError(f"{path}: 'sha256' and 'shards' have other files; {REMEDY}")
    return schema


def read_split(folder: Path, schema: Schema, name: str) -> Dataset:
    """Read a split, in the archive's order: 981 faces of 48x48 are 2.3 MB, 36,000 are 83 MB."""
    rows = []
    for shard in schema.shards[name]:
        path = folder / shard
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
        rows += decode_frames(data, path)
        # An intact shard can still be another run's, or have another place.
        if hashlib.sha256(data).hexdigest() != schema.sha256[shard]:
            raise PipelineError(f"{path} has another SHA-256 than in {SCHEMA}; {REMEDY}")
    shape = (schema.image_size, schema.image_size, schema.channels)
    valid = (len(row[0]) == math.prod(shape) and row[1] < len(schema.classes) for row in rows)
    if len(rows) != schema.images[name] or not all(valid):
        raise PipelineError(f"the {name} images in {folder} do not match {SCHEMA}; {REMEDY}")
    pixels = bytearray().join(pixels for pixels, _, _ in rows)  # unlike bytes, writable
    images = np.frombuffer(pixels, np.uint8).reshape(len(rows), *shape)
    labels = np.array([label for _, label, _ in rows], np.int32)
    return Dataset(images, labels, [path for _, _, path in rows])
