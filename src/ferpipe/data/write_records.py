"""Writing the records: images decoded, resized and written as TFRecord shards."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pandas as pd
from tqdm import tqdm

from ferpipe.core import files, paths, threads
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images, records, shards, tfrecord
from ferpipe.data.index import check_rows, paths_match_labels
from ferpipe.params.preprocess import Preprocess


def write_records(
    table: pd.DataFrame,
    archive_path: Path,
    params: Preprocess,
    target: Path,
    workers: int,
    splits: Sequence[str] = paths.SPLITS,
    table_path: Path = paths.SPLIT,
) -> records.Schema:
    """Write a records folder; an old one is replaced once all is written.

    Args:
        table: path, label and split of each image, such as split.csv.
        archive_path: the canonical archive with the same images.
        params: the section `preprocess`.
        target: the records folder.
        workers: threads that decode; 0: one per core.
        splits: the splits that the records have.
        table_path: the file that `table` comes from, for error messages.
    """
    unique = ~table["path"].duplicated()
    check_rows(table_path, unique & paths_match_labels(table) & table["split"].isin(splits))
    table = table.sort_values("path")  # the archive's order
    classes = sorted(set(table["label"]))
    counts = {name: int((table["split"] == name).sum()) for name in splits}
    with files.scratch(target) as scratch, ExitStack() as stack:
        folder = scratch / target.name
        folder.mkdir()
        writers = {
            name: stack.enter_context(SplitWriter(folder, name, count, params.shard_size))
            for name, count in counts.items()
        }
        decoded = _decode(archive_path, table["path"].tolist(), params, workers, table_path)
        rows = zip(table["path"], table["label"], table["split"], decoded, strict=True)
        progress = {"desc": "records", "total": len(table), "unit": "image"}
        label_of = {label: number for number, label in enumerate(classes)}
        for path, label, split, pixels in tqdm(rows, **progress, disable=None, leave=False):
            writers[split].add(pixels, label_of[label], path)
        for writer in writers.values():
            writer.finish()
        schema = records.Schema(
            image_size=params.image_size,
            channels=1 if params.color == "grayscale" else 3,
            classes=classes,
            shards={name: writer.shards for name, writer in writers.items()},
            images=counts,
            sha256={k: v for writer in writers.values() for k, v in writer.sha256.items()},
            selected_on_test=counts.get("val", 0) == 0,
        )
        files.write_json(folder / records.SCHEMA, asdict(schema))
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    return schema


class SplitWriter:
    """Writes shards and index of a split; `sha256` has the digests of the finished files.

    Args:
        folder: where to.
        name: of the split.
        images: how many `add` will get.
        shard_size: images per shard.
    """

    def __init__(self, folder: Path, name: str, images: int, shard_size: int) -> None:
        total = -(-images // shard_size)
        self.shards = [f"{name}-{shard:05d}-of-{total:05d}.tfrecord" for shard in range(total)]
        self.sha256: dict[str, str] = {}
        self._folder, self._index_name, self._shard_size = (
            folder,
            shards.index_name(name),
            shard_size,
        )
        self._index = np.zeros(images, shards.INDEX)
        self._count = 0
        self._file: BinaryIO | None = None

    def add(self, pixels: np.ndarray, label: int, path: str) -> None:
        """Write an image uint8 (side, side, channels), with its class index and archive path."""
        shard, first = divmod(self._count, self._shard_size)
        if not first:
            self._close()
            self._file = (self._folder / self.shards[shard]).open("wb")
            self._digest = hashlib.sha256()
        record = tfrecord.encode(pixels, label, path)
        position = self._file.tell()
        self._index[self._count] = (
            *(shard, label, len(record.frame), record.pixels, record.path, position),
        )
        self._file.write(record.frame)
        self._digest.update(record.frame)
        self._count += 1

    def finish(self) -> None:
        """Write the index, after the last image."""
        self._close()
        path = self._folder / self._index_name
        np.save(path, self._index, allow_pickle=False)
        self.sha256[path.name] = files.sha256(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file:
            self._file.close()
            self.sha256[Path(self._file.name).name] = self._digest.hexdigest()
            self._file = None


def _decode(
    archive_path: Path, names: Sequence[str], params: Preprocess, workers: int, table_path: Path
) -> Iterator[np.ndarray]:
    """Yield the pixels of each image, decoded by several threads."""
    source = zip(names, archive.read_listed(archive_path, names, table_path), strict=True)
    return threads.ordered(
        lambda item: _pixels(*item, params), source, lambda item: len(item[1]), workers
    )


def _pixels(path: str, data: bytes, params: Preprocess) -> np.ndarray:
    try:
        image = images.decode(data)
    except images.ImageRefused as reason:  # although `download` accepted it
        raise PipelineError(
            f"{paths.IMAGES}: {path} cannot be used ({reason}); run `dvc repro --force`"
        ) from None
    return images.square(image, params.image_size, params.color)
