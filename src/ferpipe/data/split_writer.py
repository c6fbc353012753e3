"""Writing one split of the records: its shards and their index."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from ferpipe.data import shards, tfrecord


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
        self._folder, self._name, self._shard_size = folder, name, shard_size
        self._index = np.zeros(images, shards.INDEX)
        self._count = 0
        self._file: BinaryIO | None = None

    def add(self, record: tfrecord.Record) -> None:
        """Write an image."""
        shard, first = divmod(self._count, self._shard_size)
        if not first:
            self._close()
            self._file = (self._folder / self.shards[shard]).open("wb")
            self._digest = hashlib.sha256()
        size, position = len(record.frame), self._file.tell()
        self._index[self._count] = shard, record.label, size, record.pixels, record.path, position
        self._file.write(record.frame)
        self._digest.update(record.frame)
        self._count += 1

    def finish(self) -> None:
        """Write the index, after the last image."""
        self._close()
        file = io.BytesIO()
        np.save(file, self._index, allow_pickle=False)
        name, data = shards.index_name(self._name), file.getvalue()
        (self._folder / name).write_bytes(data)
        self.sha256[name] = hashlib.sha256(data).hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file:
            self._file.close()
            self.sha256[Path(self._file.name).name] = self._digest.hexdigest()
            self._file = None
