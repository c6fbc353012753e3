"""TFRecord shards of noise, for tests to read and to damage."""

import dataclasses
import struct

import google_crc32c
import numpy as np

from ferpipe.core import files
from ferpipe.data import records, tfrecord
from ferpipe.data.records import Schema
from ferpipe.data.split_writer import SplitWriter

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
    rows = [row for shard in shards for row in zip(*shard, strict=True)]
    counts, sizes = {"train": len(rows), "val": 0, "test": 0}, [len(shard[1]) for shard in shards]
    sha256, names = {}, {}
    for split, count in counts.items():
        with SplitWriter(folder, split, count, max(sizes)) as writer:
            for row in rows[:count]:
                writer.add(tfrecord.encode(*row))
            writer.finish()
        sha256, names[split] = sha256 | writer.sha256, writer.shards
    schema = Schema(
        image_size=side,
        channels=channels,
        classes=CLASSES,
        shards=names,
        images=counts,
        sha256=sha256,
        selected_on_test=True,
    )
    files.write_json(folder / records.SCHEMA, dataclasses.asdict(schema))
    return schema


def stored(folder, dataset):
    """Write a data set of three classes as shards of 20, and open it without reading its images."""
    parts = [dataset.take(np.arange(len(dataset.labels))[n : n + 20]) for n in range(0, 60, 20)]
    written = [(part.images, part.labels.tolist(), part.paths) for part in parts]
    _, side, _, channels = dataset.images.shape
    schema = write(folder, written, side, channels)
    return records.read_split(folder, schema, "train", memory_mb=0)


def framed(payload):
    """A payload with the lengths and checksums of a TFRecord."""

    def checked(data):
        crc = google_crc32c.value(data)
        masked = ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8
        return data + struct.pack("<I", masked & 0xFFFFFFFF)

    return checked(struct.pack("<Q", len(payload))) + checked(payload)
