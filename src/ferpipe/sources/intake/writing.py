"""Writing the members of the canonical archive, one image at a time."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from tqdm import tqdm

from ferpipe.core import files, threads
from ferpipe.data import formats, images, png
from ferpipe.data.index import Image
from ferpipe.data.thumbnails import thumbnail
from ferpipe.sources.intake.distinct import free_path, key
from ferpipe.sources.intake.member import Member


class Accepted(NamedTuple):
    """An image that the policy accepts: its file, or that of what it is converted to.

    `mode` and `pixels_sha256` are as in index.csv, `thumbnail` is as in thumbnails.npy, and `used`
    names the conversions with loss.
    """

    data: bytes
    width: int
    height: int
    mode: str
    sha256: str
    pixels_sha256: str
    thumbnail: np.ndarray
    used: list[str]


class Written(NamedTuple):
    """The images in an archive, the pixels of their thumbnails, and what is not in it.

    `refused` has (path, reason) of the images that the policy refuses, `converted` the number of
    images by the conversion with loss that they needed.
    """

    images: list[Image]
    thumbnails: bytearray
    refused: list[tuple[str, str]]
    converted: Counter[str]


def write(
    file: BinaryIO, members: Sequence[Member], conversions: images.Conversions, workers: int
) -> Written:
    """Write the members that the image policy accepts to a zip, in their order.

    An image that needs a conversion with loss is written as its converted PNG, under a name that
    ends in .png.
    """
    written = Written([], bytearray(), [], Counter())
    taken = {key(member.path) for member in members}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for member, image in accepted(members, conversions, written.refused, workers):
            path = _named_png(member.path, taken) if image.used else member.path
            written.converted.update(image.used)
            facts = (image.width, image.height, image.mode, image.sha256, image.pixels_sha256)
            told = (member.part, member.subject, member.sequence)
            written.images.append(Image(path, member.label, *facts, *told))
            written.thumbnails.extend(image.thumbnail.tobytes())
            zipped.writestr(files.zip_entry(path), image.data)
    return written


def accepted(
    members: Sequence[Member],
    conversions: images.Conversions,
    refused: list[tuple[str, str]],
    workers: int,
) -> Iterator[tuple[Member, Accepted]]:
    """Yield each image that the policy accepts, decoded by that many threads (0: one per core).

    (path, reason) of the others are added to `refused`.
    """

    def read(member: Member) -> bytes | images.ImageRefused:
        try:
            return member.read()
        except images.ImageRefused as reason:
            return reason

    def accept(data: bytes | images.ImageRefused) -> Accepted | images.ImageRefused:
        try:
            return _accept(data, conversions) if isinstance(data, bytes) else data
        except images.ImageRefused as reason:
            return reason

    progress = tqdm(members, desc="images", unit="image", disable=None, leave=False)
    found = threads.ordered(accept, map(read, progress), sys.getsizeof, workers)
    for member, image in zip(members, found, strict=True):
        if isinstance(image, Accepted):
            yield member, image
        else:
            refused.append((member.path, str(image)))


def _accept(data: bytes, conversions: images.Conversions) -> Accepted:
    """Decode an image and convert it where it needs that; may raise ImageRefused."""
    image, used = images.convert(data, conversions)
    if used:
        data = png.encode(np.asarray(image))
    sha256 = hashlib.sha256(data).hexdigest()
    digests = (sha256, images.pixel_digest(image))
    return Accepted(data, *image.size, image.mode, *digests, thumbnail(image), used)


def note(converted: Counter[str]) -> list[str]:
    """A note for the user on conversions with loss."""
    counts = ", ".join(f"{how} ({count})" for how, count in sorted(converted.items()))
    return [f"images were converted with loss: {counts}"] if counts else []


def _named_png(path: str, taken: set[str]) -> str:
    """The path with the suffix .png instead of another image's."""
    suffix = PurePosixPath(path).suffix
    if suffix.lower() == ".png":
        return path
    stem = path.removesuffix(suffix) if suffix.lower() in formats.SUFFIXES else path
    return free_path(f"{stem}.png", taken)


def rewrite(file: BinaryIO, paths: Sequence[str], folder: Path) -> None:
    """Replace the zip in `file` by one of these members in this order.

    Args:
        file: open for reading and writing.
        paths: of its members.
        folder: where a temporary copy has room.
    """
    # Without a name, it leaves nothing however a run ends.
    with tempfile.TemporaryFile(dir=folder) as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        file.seek(0)
        file.truncate()
        with zipfile.ZipFile(copy) as old, zipfile.ZipFile(file, "w") as zipped:
            for path in paths:
                zipped.writestr(files.zip_entry(path), old.read(path))
