"""Writing the records: images decoded, resized and written as TFRecord shards."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from ferpipe.core import files, machine, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images, records, tfrecord
from ferpipe.params.preprocess import Preprocess

# Images decoded at a time: memory stays flat however many there are.
CHUNK = 256


def replace_records(
    rows: list[dict[str, str]],
    params: Preprocess,
    workers: int,
    target: Path,
    splits: Sequence[str] = paths.SPLITS,
) -> records.Schema:
    """Write the records of data/raw/images.zip in one go: `target` is the old folder or the new.

    Args:
        rows: as `write_records` takes them.
        params: the section `preprocess`.
        workers: threads that decode; 0: one a core.
        target: the records folder.
        splits: the splits that the records have.

    Raises:
        PipelineError: see `write_records`.
    """
    with files.scratch(target) as temporary:
        folder = temporary / target.name
        folder.mkdir()
        schema = write_records(rows, paths.IMAGES, params, folder, workers, splits)
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    return schema


def write_records(
    rows: list[dict[str, str]],
    archive_path: Path,
    params: Preprocess,
    folder: Path,
    workers: int,
    splits: Sequence[str] = paths.SPLITS,
) -> records.Schema:
    """Write the records.

    Args:
        rows: path, label and split of each image, such as the rows of split.csv.
        archive_path: the canonical archive that holds their images.
        params: the section `preprocess`.
        folder: where shards and schema go; it should be empty.
        workers: threads that decode; 0: one a core.
        splits: the splits that the records have.

    Returns:
        The schema, as written to `folder`.

    Raises:
        PipelineError: split.csv and the archive do not hold the same images.
    """
    _check_rows(rows, splits)
    classes = sorted({row["label"] for row in rows})
    sizes = Counter(row["split"] for row in rows)
    shards = {name: shard_names(name, sizes[name], params.shard_size) for name in splits}
    hashes = {shard: hashlib.sha256() for names in shards.values() for shard in names}
    by_path = {row["path"]: row for row in rows}
    written: Counter[str] = Counter()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers or machine.cores()))
        bar = stack.enter_context(
            tqdm(total=len(rows), desc="records", unit="image", disable=None, leave=False)
        )
        open_shards: dict[str, BinaryIO] = {}
        source = archive.read_images(archive_path)
        while chunk := list(itertools.islice(source, CHUNK)):
            missing = [path for path, _ in chunk if path not in by_path]
            if missing:
                raise PipelineError(f"{missing[0]} is in {archive_path} but not in {paths.SPLIT}")
            pixels = pool.map(lambda item: _pixels(*item, params), chunk)
            for (path, _), image in zip(chunk, pixels, strict=True):
                name = by_path[path]["split"]
                shard = shards[name][written[name] // params.shard_size]
                if written[name] % params.shard_size == 0:
                    if name in open_shards:
                        open_shards[name].close()
                    open_shards[name] = stack.enter_context((folder / shard).open("wb"))
                record = tfrecord.encode(image, classes.index(by_path[path]["label"]), path)
                open_shards[name].write(record)
                hashes[shard].update(record)
                written[name] += 1
            bar.update(len(chunk))
    if written.total() != len(rows):
        raise PipelineError(
            f"{paths.SPLIT} names {len(rows)} images, {archive_path} holds {written.total()}; "
            "run `dvc repro`"
        )
    schema = records.Schema(
        image_size=params.image_size,
        channels=1 if params.color == "grayscale" else 3,
        classes=classes,
        shards=shards,
        images={name: sizes[name] for name in splits},
        sha256={shard: digest.hexdigest() for shard, digest in hashes.items()},
        selected_on_test=sizes["val"] == 0,
    )
    files.write_json(folder / records.SCHEMA, asdict(schema))
    return schema


def _check_rows(rows: list[dict[str, str]], splits: Sequence[str]) -> None:
    """Refuse a split.csv that `split` cannot have written."""
    seen = set()
    for number, row in enumerate(rows, start=2):
        path, label, split = row["path"], row["label"], row["split"]
        if split not in splits or path.split("/")[:-1] != [label] or path in seen:
            raise PipelineError(
                f"{paths.SPLIT}, line {number}: {path} as {label} in {split} is not what `split` "
                "writes; run `dvc repro --force`"
            )
        seen.add(path)


def _pixels(path: str, data: bytes, params: Preprocess) -> np.ndarray:
    try:
        image = images.decode(data)
    except images.ImageRefused as reason:  # which `download` has taken
        raise PipelineError(
            f"{paths.IMAGES}: {path} cannot be used ({reason}); run `dvc repro --force`"
        ) from None
    return images.square(image, params.image_size, params.color)


def shard_names(name: str, count: int, shard_size: int) -> list[str]:
    """File names of a split's shards, such as `train-00000-of-00002.tfrecord`."""
    total = -(-count // shard_size)
    return [f"{name}-{shard:05d}-of-{total:05d}.tfrecord" for shard in range(total)]
