"""TFRecord shards of noise, for tests to read and to damage."""

import dataclasses
import hashlib
import struct

import google_crc32c
import numpy as np

from ferpipe.core import files
from ferpipe.data import records
from ferpipe.data.records import Schema
from ferpipe.data.tfrecord import encode

CLASSES = ["anger", "happy", "überrascht"]


def faces(count, side=4, channels=1, seed=0):
    """Images of noise, labels and paths; paths of many lengths, so that lengths take two bytes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    labels = [number % len(CLASSES) for number in range(count)]
    paths = [f"{CLASSES[label]}/{'x' * (40 * n)}.png" for n, label in enumerate(labels)]
    return images, labels, paths


def write(folder, shards, side=4, channels=1):
    """Write shards of (images, labels, paths) as the split `train`; returns the schema."""
    folder.mkdir(exist_ok=True)
    names = [f"train-{n:05d}-of-{len(shards):05d}.tfrecord" for n in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        (folder / name).write_bytes(b"".join(encode(*one) for one in zip(*shard, strict=True)))
    schema = Schema(
        image_size=side,
        channels=channels,
        classes=CLASSES,
        shards={"train": names, "val": [], "test": []},
        images={"train": sum(len(shard[1]) for shard in shards), "val": 0, "test": 0},
        sha256={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
        selected_on_test=True,
    )
    files.write_json(folder / records.SCHEMA, dataclasses.asdict(schema))
    return schema


def framed(payload):
    """A payload with the lengths and checksums of a TFRecord."""

    def checked(data):
        crc = google_crc32c.value(data)
        masked = ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8
        return data + struct.pack("<I", masked & 0xFFFFFFFF)

    return checked(struct.pack("<Q", len(payload))) + checked(payload)
