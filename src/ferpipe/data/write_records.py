"""Writing the records: images decoded, resized and written as TFRecord shards."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ferpipe.core import files, paths, processes, threads
from ferpipe.data import archive, records
from ferpipe.data.encode_image import encode_image
from ferpipe.data.index import check_rows, paths_match_labels
from ferpipe.data.split_writer import SplitWriter
from ferpipe.data.tfrecord import Record
from ferpipe.params.preprocess import Preprocess

# Images from which on processes are faster than threads, which need not start.
MANY = 20_000


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
        workers: threads or processes that decode; 0: one per core.
        splits: the splits that the records have.
        table_path: the file that `table` comes from, for error messages.
    """
    unique = ~table["path"].duplicated()
    check_rows(table_path, unique & paths_match_labels(table) & table["split"].isin(splits))
    table = table.sort_values("path")  # the archive's order
    counts = {name: int((table["split"] == name).sum()) for name in splits}
    with files.scratch(target) as scratch, ExitStack() as stack:
        folder = scratch / target.name
        folder.mkdir()
        writers = {
            name: stack.enter_context(SplitWriter(folder, name, count, params.shard_size))
            for name, count in counts.items()
        }
        classes = sorted(set(table["label"]))
        label_of = {label: number for number, label in enumerate(classes)}
        labels = [label_of[label] for label in table["label"]]
        data = archive.read_listed(archive_path, table["path"].tolist(), table_path)
        items = zip(table["path"], labels, data, strict=True)
        _write(writers, table["split"], _encoded(items, len(table), params, workers))
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


def _encoded(
    items: Iterator[tuple[str, int, bytes]], count: int, params: Preprocess, workers: int
) -> Iterator[Record]:
    """Yield the record of each path, label and image, made by several threads or processes."""
    encode = functools.partial(encode_image, size=params.image_size, color=params.color)
    shared = processes if count >= MANY and workers != 1 else threads
    return shared.ordered(encode, items, lambda item: len(item[2]), workers)


def _write(
    writers: Mapping[str, SplitWriter], splits: Sequence[str], encoded: Iterator[Record]
) -> None:
    """Write each image to its split."""
    rows = zip(splits, encoded, strict=True)
    progress = {"desc": "records", "total": len(splits), "unit": "image"}
    for split, record in tqdm(rows, **progress, disable=None, leave=False):
        writers[split].add(record)
    for writer in writers.values():
        writer.finish()
