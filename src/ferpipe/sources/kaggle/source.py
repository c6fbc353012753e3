"""A data set on Kaggle, fetched with the official client.

The client has no timeout, prints, uses the network when it is imported, and accepts nearly any
response as a file. So it runs in a process of its own (`client.py`), under a deadline and into an
empty folder. A truncated download is never resumed: nothing proves that the rest belongs to it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Download, Kaggle
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking
from ferpipe.sources.kaggle import retries
from ferpipe.sources.kaggle.retries import say

KEPT = paths.CACHE / "downloads"


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Download `download.kaggle.dataset` and repack it into the canonical archive at `target`.

    A download whose images have `download.expect.digest` is kept in `.ferpipe/downloads/`; while
    that digest is expected, neither network nor credentials are needed again. One whose images are
    refused, by the layout for example, is kept too, so that other params can be tried on it.
    """
    digest = params.expect.digest
    pinned, by_name = KEPT / f"{digest}.zip", _by_name(params.kaggle)
    if pinned.is_file() and (contents := _from_kept(pinned, target, params, run.workers)):
        return contents
    if by_name.is_file() and (contents := _from_kept(by_name, target, params, run.workers)):
        say(f"used the kept download {by_name}; delete it to download again")
        return contents
    with files.scratch(paths.CACHE / "download") as folder:
        zipped = retries.download(params.kaggle, run.download_deadline, folder)
        contents = _from_download(zipped, target, params, run.workers)
        if contents.digest == digest:
            _keep(zipped, pinned)
    if digest is None:
        say("the download is not kept, because download.expect.digest is null")
    return contents


def _by_name(kaggle: Kaggle) -> Path:
    """Where a download is kept whose images were refused."""
    version = f"v{kaggle.version}" if kaggle.version else "newest"
    return KEPT / f"{kaggle.dataset.replace('/', '--')}--{version}.zip"


def _from_kept(
    kept: Path, target: Path, params: Download, workers: int
) -> repacking.Contents | None:
    """Repack a kept download; None if it is damaged or has other images than pinned."""
    digest = params.expect.digest
    try:
        contents = repacking.repack(kept, target, params, workers)
        repacking.verify_counts(contents, params.expect)
    except PipelineError as error:
        if _is_intact(kept):
            raise PipelineError(f"{error}; delete {kept} to download again") from None
        say(f"{error}; downloading again")
        return None
    if digest is None or contents.digest == digest:
        return contents
    say(f"{kept} has other images than download.expect.digest; downloading again")
    return None


def _from_download(
    zipped: Path, target: Path, params: Download, workers: int
) -> repacking.Contents:
    """Repack a download; it is kept if it is intact, but its images are refused."""
    try:
        contents = repacking.repack(zipped, target, params, workers)
        repacking.verify_counts(contents, params.expect)
        return contents
    except PipelineError as error:
        # The message names the file by its path here, which is gone by then.
        message = str(error).replace(str(zipped), f"Kaggle's {zipped.name}")
        if _is_intact(zipped):
            kept = _by_name(params.kaggle)
            _keep(zipped, kept)
            message += f"; the download is kept as {kept}"
        raise PipelineError(message) from None


def _is_intact(path: Path) -> bool:
    """Whether every member of a zip can be unpacked and has its checksum."""
    try:
        with zipfile.ZipFile(path) as zipped:
            return zipped.testzip() is None
    except DAMAGED:
        return False


def _keep(zipped: Path, kept: Path) -> None:
    KEPT.mkdir(exist_ok=True)
    zipped.replace(kept)
