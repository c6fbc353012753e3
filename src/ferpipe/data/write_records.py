"""Writing the records: images decoded, resized and written as TFRecord shards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ferpipe.core import files, paths, threads
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images, records
from ferpipe.data.index import check_rows, paths_match_labels
from ferpipe.data.split_writer import SplitWriter
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
    counts = {name: int((table["split"] == name).sum()) for name in splits}
    with files.scratch(target) as scratch, ExitStack() as stack:
        folder = scratch / target.name
        folder.mkdir()
        writers = {
            name: stack.enter_context(SplitWriter(folder, name, count, params.shard_size))
            for name, count in counts.items()
        }
        decoded = _decode(archive_path, table["path"].tolist(), params, workers, table_path)
        _write(writers, table, decoded)
        schema = records.Schema(
            image_size=params.image_size,
            channels=1 if params.color == "grayscale" else 3,
            classes=sorted(set(table["label"])),
            shards={name: writer.shards for name, writer in writers.items()},
            images=counts,
            sha256={k: v for writer in writers.values() for k, v in writer.sha256.items()},
            selected_on_test=counts.get("val", 0) == 0,
        )
        files.write_json(folder / records.SCHEMA, asdict(schema))
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    return schema


def _write(
    writers: Mapping[str, SplitWriter], table: pd.DataFrame, decoded: Iterator[np.ndarray]
) -> None:
    """Write each image of the table to its split."""
    label_of = {label: number for number, label in enumerate(sorted(set(table["label"])))}
    rows = zip(table["path"], table["label"], table["split"], decoded, strict=True)
    progress = {"desc": "records", "total": len(table), "unit": "image"}
    for path, label, split, pixels in tqdm(rows, **progress, disable=None, leave=False):
        writers[split].add(pixels, label_of[label], path)
    for writer in writers.values():
        writer.finish()


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
