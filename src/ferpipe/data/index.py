"""index.csv: the images of the canonical archive.

`mode` ("L" or "RGB") is of the decoded image, `sha256` of the file's bytes, and `pixels_sha256` is
`images.pixel_digest`. The official part (train, val or test), subject and sequence are "" where the
source does not tell them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError


def read_index(path: Path) -> pd.DataFrame:
    """Read index.csv and check every row; raises PipelineError if `download` did not write it."""
    index = tables.read_table(path, paths.INDEX_COLUMNS)
    if index.empty:
        raise PipelineError(f"{path} lists no images; run `dvc repro --force`")
    names = index["path"]
    valid = (
        paths_match_labels(index)
        & names.map(str.isprintable)
        & (names > names.shift(fill_value=""))  # sorted, and none twice
        & (index[["width", "height"]].min(axis=1) > 0)
        & index["mode"].isin(["L", "RGB"])
        & index["sha256"].str.fullmatch("[0-9a-f]{64}")
        & index["pixels_sha256"].str.fullmatch("[0-9a-f]{64}")
        & index["part"].isin(["", *paths.SPLITS])
    )
    check_rows(path, valid)
    return index


def paths_match_labels(table: pd.DataFrame) -> pd.Series:
    """Whether each path is `<label>/<file>`."""
    rows = zip(table["path"], table["label"], strict=True)
    match = [path.count("/") == 1 and path.startswith(f"{label}/") for path, label in rows]
    return pd.Series(match, index=table.index, dtype=bool)


def check_rows(path: Path, valid: pd.Series) -> None:
    """Raise a PipelineError that names the first row of the table at `path` that is not valid."""
    if not valid.all():
        line = valid.idxmin() + 2
        raise PipelineError(f"{path}, line {line}: not a valid row; run `dvc repro --force`")


def content_digest(images: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of the sorted lines `<path> <sha256>` of all images: of the content, not the zip."""
    digest = hashlib.sha256()
    for line in sorted(f"{path} {sha256}\n" for path, sha256 in images):
        digest.update(line.encode())
    return digest.hexdigest()
