"""Stage `preprocess`: the images, decoded and resized, as TFRecord shards of each split."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from ferpipe import archive, files, images, records
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run

# Images decoded at a time: memory stays flat however many there are.
CHUNK = 256


def preprocess(
    rows: list[dict[str, str]], archive_path: Path, params: Preprocess, folder: Path, workers: int
) -> records.Schema:
    """Write the records.

    Args:
        rows: the rows of split.csv.
        archive_path: the canonical archive that holds their images.
        params: the section `preprocess`.
        folder: where shards and schema go; it should be empty.
        workers: threads that decode; 0: one a core.

    Returns:
        The schema, as written to `folder`.

    Raises:
        PipelineError: split.csv and the archive do not hold the same images.
    """
    _check_rows(rows)
    classes = sorted({row["label"] for row in rows})
    sizes = Counter(row["split"] for row in rows)
    shards = {name: shard_names(name, sizes[name], params.shard_size) for name in files.SPLITS}
    hashes = {shard: hashlib.sha256() for names in shards.values() for shard in names}
    by_path = {row["path"]: row for row in rows}
    written: Counter[str] = Counter()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers or os.cpu_count()))
        bar = stack.enter_context(
            tqdm(total=len(rows), desc="records", unit="image", disable=None, leave=False)
        )
        open_shards: dict[str, BinaryIO] = {}
        source = archive.read_images(archive_path)
        while chunk := list(itertools.islice(source, CHUNK)):
            missing = [path for path, _ in chunk if path not in by_path]
            if missing:
                raise PipelineError(f"{missing[0]} is in {archive_path} but not in {files.SPLIT}")
            pixels = pool.map(lambda item: _pixels(*item, params), chunk)
            for (path, _), image in zip(chunk, pixels, strict=True):
                name = by_path[path]["split"]
                shard = shards[name][written[name] // params.shard_size]
                if written[name] % params.shard_size == 0:
                    if name in open_shards:
                        open_shards[name].close()
                    open_shards[name] = stack.enter_context((folder / shard).open("wb"))
                record = records.encode(image, classes.index(by_path[path]["label"]), path)
                open_shards[name].write(record)
                hashes[shard].update(record)
                written[name] += 1
            bar.update(len(chunk))
    if written.total() != len(rows):
        raise PipelineError(
            f"{files.SPLIT} names {len(rows)} images, {archive_path} holds {written.total()}; "
            "run `dvc repro`"
        )
    schema = records.Schema(
        image_size=params.image_size,
        channels=1 if params.color == "grayscale" else 3,
        classes=classes,
        shards=shards,
        images={name: sizes[name] for name in files.SPLITS},
        sha256={shard: digest.hexdigest() for shard, digest in hashes.items()},
        chosen_on_test=sizes["val"] == 0,
    )
    files.write_json(folder / records.SCHEMA, asdict(schema))
    return schema


def _check_rows(rows: list[dict[str, str]]) -> None:
    """Refuse a split.csv that `split` cannot have written."""
    seen = set()
    for number, row in enumerate(rows, start=2):
        path, label, split = row["path"], row["label"], row["split"]
        if split not in files.SPLITS or path.split("/")[:-1] != [label] or path in seen:
            raise PipelineError(
                f"{files.SPLIT}, line {number}: {path} as {label} in {split} is not what `split` "
                "writes; run `dvc repro --force`"
            )
        seen.add(path)


def _pixels(path: str, data: bytes, params: Preprocess) -> np.ndarray:
    try:
        image = images.decode(data)
    except images.ImageRefused as reason:  # which `download` has taken
        raise PipelineError(
            f"{files.IMAGES}: {path} cannot be used ({reason}); run `dvc repro --force`"
        ) from None
    return images.square(image, params.image_size, params.color)


def shard_names(name: str, count: int, shard_size: int) -> list[str]:
    """File names of a split's shards, such as `train-00000-of-00002.tfrecord`."""
    total = -(-count // shard_size)
    return [f"{name}-{shard:05d}-of-{total:05d}.tfrecord" for shard in range(total)]


@exits_cleanly("preprocess")
def main() -> None:
    """Read params and split, write data/records/ in one go."""
    params = read_section(files.PARAMS, "preprocess", Preprocess)
    run = read_section(files.PARAMS, "run", Run)
    rows = files.read_csv(files.SPLIT, files.SPLIT_HEADER)
    with files.scratch(files.RECORDS) as temporary:
        folder = temporary / files.RECORDS.name
        folder.mkdir()
        schema = preprocess(rows, files.IMAGES, params, folder, run.workers)
        shutil.rmtree(files.RECORDS, ignore_errors=True)
        folder.replace(files.RECORDS)

    shards = sum(map(len, schema.shards.values()))
    side = f"{schema.image_size}x{schema.image_size}x{schema.channels}"
    counts = ", ".join(f"{name} {count}" for name, count in schema.images.items())
    print(f"preprocess: {len(rows)} images of {side} ({counts}) in {shards} shards")
    print(f"preprocess: classes and shards are told in {files.RECORDS / records.SCHEMA}")
