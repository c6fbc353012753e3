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
import pandas as pd
from tqdm import tqdm

from ferpipe.core import files, paths, threads
from ferpipe.data import formats, images, png
from ferpipe.data.thumbnails import SIDE, thumbnail
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
    """The images in an archive and what is not in it.

    `images` has the columns of index.csv, `thumbnails` is as in thumbnails.npy, `refused` has
    (path, reason) of the images that the policy refuses, `converted` the number of images by the
    conversion with loss that they needed.
    """

    images: pd.DataFrame
    thumbnails: np.ndarray
    refused: list[tuple[str, str]]
    converted: Counter[str]


def write(
    file: BinaryIO, members: list[Member], conversions: images.Conversions, workers: int
) -> Written:
    """Write the members that the image policy accepts to a zip, in their order; empties the list.

    An image that needs a conversion with loss is written as its converted PNG, under a name that
    ends in .png.
    """
    # Of a million images, rows as objects take half a gigabyte more than columns.
    columns: dict[str, list[object]] = {name: [] for name in paths.INDEX_COLUMNS}
    thumbnails, refused, converted = bytearray(), [], Counter()
    taken = {key(member.path) for member in members} if any(conversions) else set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for member, image in accepted(members, conversions, refused, workers):
            path = _named_png(member.path, taken) if image.used else member.path
            converted.update(image.used)
            facts = (image.width, image.height, image.mode, image.sha256, image.pixels_sha256)
            told = (member.part, member.subject, member.sequence)
            for column, value in zip(
                columns.values(), (path, member.label, *facts, *told), strict=True
            ):
                column.append(value)
            thumbnails += image.thumbnail.tobytes()
            zipped.writestr(files.zip_entry(path), image.data)
            zipped.NameToInfo.clear()  # only reads need it, and the list of entries is enough
    shape = (-1, SIDE, SIDE)
    small = np.frombuffer(thumbnails, np.uint8).reshape(shape)
    return Written(pd.DataFrame(columns), small, refused, converted)


def accepted(
    members: list[Member],
    conversions: images.Conversions,
    refused: list[tuple[str, str]],
    workers: int,
) -> Iterator[tuple[Member, Accepted]]:
    """Yield each image that the policy accepts, decoded by that many threads (0: one per core).

    (path, reason) of the others are added to `refused`. The list is emptied, so that the memory of
    what reads an image is free once it is yielded.
    """

    def read(member: Member) -> tuple[Member, bytes | images.ImageRefused]:
        try:
            return member, member.read()
        except images.ImageRefused as reason:
            return member, reason

    def accept(item: tuple[Member, bytes | images.ImageRefused]) -> tuple[Member, object]:
        member, data = item
        try:
            return member, _accept(data, conversions) if isinstance(data, bytes) else data
        except images.ImageRefused as reason:
            return member, reason

    members.reverse()
    each = (members.pop() for _ in range(len(members)))
    progress = tqdm(
        each, desc="images", total=len(members), unit="image", disable=None, leave=False
    )
    found = threads.ordered(
        accept, map(read, progress), lambda item: sys.getsizeof(item[1]), workers
    )
    for member, image in found:
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


def rewrite(file: BinaryIO, names: Sequence[str], folder: Path) -> None:
    """Replace the zip in `file` by one of these members in this order.

    Args:
        file: open for reading and writing.
        names: of its members.
        folder: where a temporary copy has room.
    """
    # Without a name, it leaves nothing however a run ends.
    with tempfile.TemporaryFile(dir=folder) as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        file.seek(0)
        file.truncate()
        with zipfile.ZipFile(copy) as old, zipfile.ZipFile(file, "w") as zipped:
            for name in names:
                zipped.writestr(files.zip_entry(name), old.read(name))
