"""TFRecord shards of `tf.train.Example`, written and read without TensorFlow.

The features are `image` (raw uint8 pixels, row by row), `label` (index into the schema's classes)
and `path` (in the archive). Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord and
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from ferpipe.core.errors import PipelineError

REMEDY = "run `dvc repro --force`"
# Bytes of a frame before its payload (length and checksum) and after it (checksum).
HEAD, TAIL = 12, 4


class Record(NamedTuple):
    """A framed record, its class index, and the positions of pixels and path in the frame."""

    frame: bytes
    label: int
    pixels: int
    path: int


def encode(image: np.ndarray, label: int, path: str) -> Record:
    """Encode a uint8 image, its class index (0 or above) and its path as a framed record."""
    pixels, name = image.tobytes(), path.encode()
    # Sorted by name, as in TensorFlow's deterministic serialisation.
    first = _feature(b"image", _field(1, _field(1, pixels)))
    others = _feature(b"label", _field(3, _field(1, _varint(label))))
    others += _feature(b"path", _field(1, _field(1, name)))
    payload = _field(1, first + others)
    length = struct.pack("<Q", len(payload))
    frame = length + _masked_crc(length) + payload + _masked_crc(payload)
    # Pixels and path are the last bytes of their features.
    end = len(frame) - TAIL
    return Record(frame, label, end - len(others) - len(pixels), end - len(name))


def read_frames(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield each framed record of a shard, checked; `file` is at its start, `path` its name."""
    offset, size = 0, os.fstat(file.fileno()).st_size
    while head := file.read(HEAD):
        # A length whose checksum does not match must not be used.
        valid = len(head) == HEAD and _masked_crc(head[:8]) == head[8:]
        rest = struct.unpack("<Q", head[:8])[0] + TAIL if valid else 0
        valid = valid and offset + HEAD + rest <= size
        data = file.read(rest) if valid else b""
        if not valid or _masked_crc(data[:-TAIL]) != data[-TAIL:]:
            raise PipelineError(f"{path} is damaged at byte {offset}; {REMEDY}")
        yield head + data
        offset += HEAD + rest


def decode(frame: bytes, path: Path) -> tuple[bytes, int, str]:
    """Raw pixels, label and archive path of a framed record of the shard `path`."""
    try:
        return _parse_example(frame[HEAD:-TAIL])
    except (ValueError, IndexError, KeyError):
        raise PipelineError(f"{path} holds a record of another format; {REMEDY}") from None


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@functools.lru_cache(maxsize=1024)  # most are lengths, and few of them differ
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
    """Yield number and bytes of each field of a message; all of ours are length-delimited."""
    offset = 0
    while offset < len(data):
        key, offset = _read_varint(data, offset)
        length, offset = _read_varint(data, offset)
        if key & 7 != 2 or offset + length > len(data):
            raise ValueError("not a length-delimited field")
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


def _parse_example(payload: bytes) -> tuple[bytes, int, str]:
    """Image, label and path of a record."""
    ((_, features),) = _fields(payload)
    values = {}
    for _, entry in _fields(features):
        (_, name), (_, feature) = _fields(entry)
        ((_, listed),) = _fields(feature)
        ((_, values[name]),) = _fields(listed)
    label, _ = _read_varint(values[b"label"], 0)
    return values[b"image"], label, values[b"path"].decode()
