"""The records folder: its schema, and a split of it in memory."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data.tfrecord import REMEDY, decode_frames

SCHEMA = "schema.json"
# The split of records that hold every image: those of the cross-validation.
ALL = "all"


@dataclass(frozen=True)
class Schema:
    """What data/records/ holds.

    Args:
        image_size: side of the images, in pixels.
        channels: 1 (grayscale) or 3 (RGB).
        classes: class names; a record's label is an index into them.
        shards: the shard files of each split, in reading order.
        images: how many images each split has.
        sha256: SHA-256 of each shard, by its file name.
        selected_on_test: True when there is no val, so that test both chooses and judges.
    """

    image_size: int
    channels: int
    classes: list[str]
    shards: dict[str, list[str]]
    images: dict[str, int]
    sha256: dict[str, str]
    selected_on_test: bool


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
    """Read schema.json of a records folder.

    Raises:
        PipelineError: it is missing or not a schema.
    """
    path = folder / SCHEMA
    values = files.read_json(path)
    if not _is_schema(values):
        raise PipelineError(f"{path} is not a schema of this version; run `dvc repro --force`")
    return Schema(**values)


def _is_schema(values: dict) -> bool:
    """Whether all of it is there and of the kind that `Schema` says."""

    def whole(value: object, least: int = 0) -> bool:
        return type(value) is int and value >= least

    def texts(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(text, str) for text in value)

    if set(values) != {field.name for field in fields(Schema)}:
        return False
    shards, images, hashes = (values[key] for key in ("shards", "images", "sha256"))
    if not all(isinstance(value, dict) for value in (shards, images, hashes)):
        return False
    if set(shards) != set(images) or set(shards) not in (set(paths.SPLITS), {ALL}):
        return False
    if not all(texts(names) for names in shards.values()) or not texts(list(hashes.values())):
        return False
    return (
        whole(values["image_size"], 1)
        and whole(values["channels"], 1)
        and values["channels"] in (1, 3)
        and texts(values["classes"])
        and all(whole(count) for count in images.values())
        and isinstance(values["selected_on_test"], bool)
        # No name leads out of the folder.
        and sorted(hashes) == sorted(name for names in shards.values() for name in names)
        and all(re.fullmatch(r"[a-z]+-\d+-of-\d+\.tfrecord", name) for name in hashes)
    )


def read_split(folder: Path, schema: Schema, name: str) -> Dataset:
    """Read a split into memory: 981 faces of 48x48 are 2.3 MB, 36,000 are 83 MB.

    Args:
        folder: the records folder.
        schema: its schema.
        name: "train", "val" or "test"; or "all".

    Returns:
        The split, in the archive's order.

    Raises:
        PipelineError: a shard is missing, damaged or does not fit the schema.
    """
    count = schema.images[name]
    shape = (schema.image_size, schema.image_size, schema.channels)
    shards = {folder / shard: _read(folder / shard) for shard in schema.shards[name]}
    if math.prod(shape) * count > sum(map(len, shards.values())):
        raise PipelineError(f"{folder} holds fewer {name} images than {SCHEMA} says; {REMEDY}")
    images = np.empty((count, *shape), np.uint8)
    labels = np.empty(count, np.int32)
    paths = []
    for shard, data in shards.items():
        for pixels, label, path in decode_frames(data, shard):
            row = len(paths)
            if row >= count or len(pixels) != images[0].size or label >= len(schema.classes):
                raise PipelineError(f"{shard} does not fit {SCHEMA}; {REMEDY}")
            images[row] = np.frombuffer(pixels, np.uint8).reshape(shape)
            labels[row] = label
            paths.append(path)
        # Sound, and still not the one: of another run, or two that changed places.
        if hashlib.sha256(data).hexdigest() != schema.sha256[shard.name]:
            raise PipelineError(f"{shard} is not the shard that {SCHEMA} means; {REMEDY}")
    if len(paths) != count:
        raise PipelineError(
            f"{folder} holds {len(paths)} {name} images, {SCHEMA} says {count}; {REMEDY}"
        )
    return Dataset(images, labels, paths)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
