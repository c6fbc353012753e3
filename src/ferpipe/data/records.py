"""TFRecord shards of `tf.train.Example`, written and read without TensorFlow.

A shard is a row of frames: length (uint64), its masked CRC-32C, payload, its masked CRC-32C, all
little-endian. A payload is a `tf.train.Example` with three features: `image` (bytes: raw uint8
pixels, row by row), `label` (int64: index into the schema's classes) and `path` (bytes: UTF-8 path
in the archive).

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord and
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import google_crc32c
import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError

SCHEMA = "schema.json"
# The split of records that hold every image: those of the cross-validation.
ALL = "all"
REMEDY = "run `dvc repro --force`"


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
        chosen_on_test: True when there is no val, so that test both chooses and judges.
    """

    image_size: int
    channels: int
    classes: list[str]
    shards: dict[str, list[str]]
    images: dict[str, int]
    sha256: dict[str, str]
    chosen_on_test: bool


@dataclass(frozen=True)
class Dataset:
    """A split in memory: images uint8 (n, side, side, channels), labels int32 (n,), paths (n)."""

    images: np.ndarray
    labels: np.ndarray
    paths: list[str]

    def take(self, rows: np.ndarray) -> Dataset:
        """The images at int (m,) positions, in that order."""
        return Dataset(self.images[rows], self.labels[rows], [self.paths[row] for row in rows])


def encode(image: np.ndarray, label: int, path: str) -> bytes:
    """Encode one record as a framed `tf.train.Example`.

    Args:
        image: uint8 (side, side, channels).
        label: class index, 0 or above.
        path: path in the archive.
    """
    # The features stand in sorted order, as TensorFlow's own deterministic serialisation has it.
    features = (
        _feature(b"image", _field(1, _field(1, image.tobytes())))
        + _feature(b"label", _field(3, _field(1, _varint(label))))
        + _feature(b"path", _field(1, _field(1, path.encode())))
    )
    payload = _field(1, features)
    length = struct.pack("<Q", len(payload))
    return length + _masked_crc(length) + payload + _masked_crc(payload)


def decode_frames(data: bytes, path: Path) -> Iterator[tuple[bytes, int, str]]:
    """Read one shard.

    Args:
        data: its bytes.
        path: what to name in an error.

    Yields:
        Raw pixels, label and archive path of each record.

    Raises:
        PipelineError: the shard is cut short, or a checksum does not fit.
    """
    offset = 0
    while offset < len(data):
        head = data[offset : offset + 12]
        # A length that fails its own checksum must not be followed.
        sound = len(head) == 12 and _masked_crc(head[:8]) == head[8:]
        end = offset + 12 + struct.unpack("<Q", head[:8])[0] if sound else 0
        payload = data[offset + 12 : end]
        if not sound or end + 4 > len(data) or _masked_crc(payload) != data[end : end + 4]:
            raise PipelineError(f"{path} is damaged at byte {offset}; {REMEDY}")
        yield _parse_example(payload, path)
        offset = end + 4


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
        and isinstance(values["chosen_on_test"], bool)
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


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _feature(name: bytes, feature: bytes) -> bytes:
    """An entry of the map `Features.feature`."""
    return _field(1, _field(1, name) + _field(2, feature))


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; we write no other kind."""
    offset = 0
    while offset < len(data):
        key, offset = _read_varint(data, offset)
        length, offset = _read_varint(data, offset)
        if key & 7 != 2 or offset + length > len(data):
            raise ValueError("not a field of ours")
        yield key >> 3, data[offset : offset + length]
        offset += length


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset += 1
        if byte < 0x80:
            return value, offset
        shift += 7


def _parse_example(payload: bytes, path: Path) -> tuple[bytes, int, str]:
    """The three features of one of our records."""
    try:
        ((_, features),) = _fields(payload)
        values = {}
        for _, entry in _fields(features):
            (_, name), (_, feature) = _fields(entry)
            ((_, listed),) = _fields(feature)
            ((_, values[name]),) = _fields(listed)
        label, _ = _read_varint(values[b"label"], 0)
        return values[b"image"], label, values[b"path"].decode()
    except (ValueError, IndexError, KeyError):
        raise PipelineError(f"{path} holds a record that is not ours; {REMEDY}") from None
