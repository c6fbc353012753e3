"""A folder with params and records of bars, in which the stage `train` runs."""

import json
from dataclasses import asdict

from networks import bars, schema, train_params

from ferpipe.core import files
from ferpipe.core.paths import RECORDS
from ferpipe.data import tfrecord
from ferpipe.data.records import SCHEMA
from ferpipe.data.split_writer import SplitWriter


def write(folder, side=16, **changes):
    """Write params.yaml and 50 training images; the test split, of 30, selects the epoch."""
    changes = {"backend": "jax", "head_learning_rate": 1e-2} | changes
    values = {"train": train_params(**changes).model_dump(mode="json")}
    values["run"] = {"workers": 0, "memory_mb": 1024, "download_deadline": 900}
    values["run"]["checkpoint_seconds"] = 0
    (folder / "params.yaml").write_text(json.dumps(values))
    splits = {"train": bars(50, 1, side), "val": bars(0, 0, side), "test": bars(30, 2, side)}
    (folder / RECORDS).mkdir(parents=True)
    sha256, shards = {}, {}
    for name, split in splits.items():
        with SplitWriter(folder / RECORDS, name, len(split.labels), shard_size=20) as writer:
            for image in zip(split.images, split.labels.tolist(), split.paths, strict=True):
                writer.add(tfrecord.encode(*image))
            writer.finish()
        sha256, shards[name] = sha256 | writer.sha256, writer.shards
    images = {name: len(split.labels) for name, split in splits.items()}
    about = schema(side, shards=shards, images=images, sha256=sha256, selected_on_test=True)
    files.write_json(folder / RECORDS / SCHEMA, asdict(about))
