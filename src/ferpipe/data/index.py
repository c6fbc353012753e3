"""index.csv: what `download` says of each image, for the stages that deal the images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError


def read_index(path: Path) -> list[dict[str, str]]:
    """Read index.csv and check every row.

    Args:
        path: the file.

    Returns:
        One dict an image, with the columns of `paths.INDEX_COLUMNS`, in the archive's order.

    Raises:
        PipelineError: the file is missing, empty, or not what `download` writes.
    """
    rows = files.read_csv(path, paths.INDEX_COLUMNS)
    if not rows:
        raise PipelineError(f"{path} names no image; run `dvc repro --force`")
    before = ""
    for number, row in enumerate(rows, start=2):
        sound = (
            row["path"].split("/")[:-1] == [row["label"]]
            and row["path"].isprintable()
            and row["path"] > before  # sorted, and none twice
            and row["width"].isdecimal()
            and row["height"].isdecimal()
            and row["mode"] in ("L", "RGB")
            and re.fullmatch("[0-9a-f]{64}", row["sha256"])
        )
        if not sound:
            raise PipelineError(
                f"{path}, line {number}: this is not what `download` writes; run "
                "`dvc repro --force`"
            )
        before = row["path"]
    return rows


@dataclass(frozen=True)
class Image:
    """A row of index.csv: an image in the archive.

    `mode` is "L" or "RGB", what the image policy decodes it to; `sha256` is of the file's bytes.
    """

    path: str
    label: str
    width: int
    height: int
    mode: str
    sha256: str


def content_digest(images: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the sorted lines `<label>/<file> <sha256>`: the content, not the zip.

    Args:
        images: path and SHA-256 of each.
    """
    lines = sorted(f"{path} {sha256}\n" for path, sha256 in images)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
