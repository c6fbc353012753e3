"""The record of an image: what several threads or processes make."""

from __future__ import annotations

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import images, tfrecord


def encode_image(item: tuple[str, int, bytes], size: int, color: str) -> tfrecord.Record:
    """Decode an image of the archive, resize it and encode it.

    Args:
        item: path in the archive, class index, image file.
        size: side in the record, in pixels.
        color: see `images.square`.
    """
    path, label, data = item
    try:
        image = images.decode(data)
    except images.ImageRefused as reason:  # although `download` accepted it
        raise PipelineError(
            f"{paths.IMAGES}: {path} cannot be used ({reason}); run `dvc repro --force`"
        ) from None
    return tfrecord.encode(images.square(image, size, color), label, path)
