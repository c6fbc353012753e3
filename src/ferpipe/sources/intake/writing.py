"""Writing the members of the canonical archive, one image at a time."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
import PIL.Image
from tqdm import tqdm

from ferpipe.core import files
from ferpipe.data import formats, images, png
from ferpipe.data.index import Image
from ferpipe.sources.intake.distinct import free_path, key
from ferpipe.sources.intake.member import Member


class Written(NamedTuple):
    """The images in an archive, a digest of the pixels of each, and what is not in it.

    `refused` has (path, reason) of the images that the policy refuses, `converted` the number of
    images by the conversion with loss that they needed.
    """

    images: list[Image]
    digests: list[str]
    refused: list[tuple[str, str]]
    converted: Counter[str]


def write(file: BinaryIO, members: Sequence[Member], conversions: images.Conversions) -> Written:
    """Write the members that the image policy accepts to a zip, in their order.

    An image that needs a conversion with loss is written as its converted PNG, under a name that
    ends in .png.
    """
    written = Written([], [], [], Counter())
    taken = {key(member.path) for member in members}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for member, data, image, used in decoded(members, conversions, written.refused):
            path = member.path
            if used:
                data = png.encode(np.asarray(image))
                path = _named_png(path, taken)
                written.converted.update(used)
            sha256 = hashlib.sha256(data).hexdigest()
            facts = (*image.size, image.mode, sha256, member.part, member.subject, member.sequence)
            written.images.append(Image(path, member.label, *facts))
            written.digests.append(images.pixel_digest(image))
            zipped.writestr(files.zip_entry(path), data)
    return written


def decoded(
    members: Sequence[Member], conversions: images.Conversions, refused: list[tuple[str, str]]
) -> Iterator[tuple[Member, bytes, PIL.Image.Image, list[str]]]:
    """Yield each image that is accepted: its file, its pixels, the conversions that it needed.

    (path, reason) of the others are added to `refused`.
    """
    for member in tqdm(members, desc="images", unit="image", disable=None, leave=False):
        try:
            data = member.read()
            image, used = images.convert(data, conversions)
        except images.ImageRefused as reason:
            refused.append((member.path, str(reason)))
        else:
            yield member, data, image, used


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
