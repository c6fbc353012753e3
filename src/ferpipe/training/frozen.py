"""Features of a frozen backbone, computed once: in memory, or in a temporary file if too large."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator

import numpy as np

from ferpipe.core import paths
from ferpipe.data.records import MB
from ferpipe.data.shards import Images
from ferpipe.model import saving
from ferpipe.model.backend import keras


def features_of(
    model: keras.Model,
    images: Images,
    batch_size: int,
    memory_mb: int,
    *,
    mirrored: bool = False,
) -> np.ndarray:
    """Compute float32 (n, features) of images or of their mirror images, in batches.

    Features of more than `memory_mb` million bytes are written to a file, which is mapped.
    """
    shape = len(images), model.output_shape[-1]
    batches = _batches(model, images, batch_size, -1 if mirrored else 1)
    if 4 * shape[0] * shape[1] > memory_mb * MB:
        return _in_file(batches).reshape(shape)
    features = np.empty(shape, np.float32)
    for start, batch in zip(range(0, len(images), batch_size), batches, strict=True):
        features[start : start + batch_size] = batch
    return features


def _batches(
    model: keras.Model, images: Images, batch_size: int, step: int
) -> Iterator[np.ndarray]:
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size][:, :, ::step]
        yield saving.predict(model, batch, batch_size).astype(np.float32)


def _in_file(batches: Iterator[np.ndarray]) -> np.ndarray:
    paths.CACHE.mkdir(exist_ok=True)
    # It has no name, so that nothing of it stays when the process ends.
    with tempfile.TemporaryFile(dir=paths.CACHE) as file:
        for batch in batches:
            file.write(batch.tobytes())
        file.flush()
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.float32)
