"""Shards by random access: an index of positions, and images and paths read when asked for.

Plain reads instead of memory maps: pages of a map count as memory of the process, and a map of a
file that was truncated ends the process without a message.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ferpipe.core.errors import PipelineError
from ferpipe.data.tfrecord import REMEDY, TAIL, decode, read_frames

# The index of a split, a row for each record in reading order: its shard (a position in the list of
# shards), label, start and size of its frame in bytes, and its pixels and path from that start.
INDEX = np.dtype(
    [(name, "<i4") for name in ("shard", "label", "size", "pixels", "path")] + [("start", "<i8")]
)
# Paths that are read at a time.
CHUNK = 4096


def index_name(split: str) -> str:
    """The file name of a split's index."""
    return f"{split}-index.npy"


class Shards:
    """The shard files of a split."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._stamps = [_stamp(path) for path in paths]

    def read(self, shards: np.ndarray, starts: np.ndarray, buffers: Sequence[memoryview]) -> None:
        """Fill writable buffers (n) with the bytes of shards, int (n,), at starts, int (n,)."""
        order = np.lexsort((starts, shards)).tolist()
        shards, starts = shards.tolist(), starts.tolist()
        for shard, rows in itertools.groupby(order, shards.__getitem__):
            path = self._paths[shard]
            if _stamp(path) != self._stamps[shard]:
                raise PipelineError(f"{path} has changed since it was checked; {REMEDY}")
            with path.open("rb", buffering=0) as file:
                for row in rows:
                    file.seek(starts[row])
                    file.readinto(buffers[row])


class StoredImages:
    """Images in shards: indexed like an array uint8 (n, side, side, channels), which it reads.

    Args:
        shards: the files.
        index: rows of INDEX (n).
        shape: of an image.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shards: Shards, index: np.ndarray, shape: tuple[int, int, int]) -> None:
        self._shards, self._index = shards, index
        self.shape = (len(index), *shape)
        self.nbytes = math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Read the images at these positions, which may repeat."""
        if isinstance(rows, (int, np.integer)):
            return self[[rows]][0]
        index = self._index[rows]
        images = np.empty((len(index), *self.shape[1:]), np.uint8)
        flat = images.reshape(len(index), math.prod(self.shape[1:]))
        self._shards.read(index["shard"], index["start"] + index["pixels"], flat)
        return images

    def select(self, rows: np.ndarray) -> StoredImages:
        """The images at int (m,) positions, not read yet."""
        return StoredImages(self._shards, self._index[rows], self.shape[1:])


Images = np.ndarray | StoredImages


class StoredPaths(Sequence[str]):
    """The archive paths of images in shards; see `StoredImages`."""

    def __init__(self, shards: Shards, index: np.ndarray) -> None:
        self._shards, self._index = shards, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, row: int) -> str:
        return self._read(self._index[[row]])[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            yield from self._read(self._index[start : start + CHUNK])

    def select(self, rows: np.ndarray) -> StoredPaths:
        """The paths at int (m,) positions."""
        return StoredPaths(self._shards, self._index[rows])

    def _read(self, index: np.ndarray) -> list[str]:
        sizes = index["size"] - index["path"] - TAIL
        buffers = [bytearray(size) for size in sizes.tolist()]
        self._shards.read(index["shard"], index["start"] + index["path"], buffers)
        return [path.decode() for path in buffers]


def check(path: Path, sha256: str, listed_in: str) -> tuple[int, tuple[bytes, int, str]]:
    """Check a shard, one record in memory at a time.

    Returns:
        The number of its records, and pixels, label and path of the first one.

    Raises:
        PipelineError: it is missing, damaged, or not the one with this SHA-256.
    """
    digest, count, first = hashlib.sha256(), 0, None
    try:
        with path.open("rb") as file:
            for frame in read_frames(file, path):
                digest.update(frame)
                first = first or decode(frame, path)
                count += 1
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it") from None
    # An intact shard can still be another run's, or have another place.
    if digest.hexdigest() != sha256:
        raise PipelineError(f"{path} has another SHA-256 than in {listed_in}; {REMEDY}")
    return count, first or (b"", 0, "")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
