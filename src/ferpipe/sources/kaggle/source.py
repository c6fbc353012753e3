"""A data set on Kaggle, fetched with the official client.

The client has no timeout, prints, uses the network when it is imported, and accepts nearly any
response as a file. So it runs in a process of its own (`client.py`), under a deadline and into an
empty folder. A truncated download is never resumed: nothing proves that the rest belongs to it.
"""

from __future__ import annotations

from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking
from ferpipe.sources.kaggle import retries
from ferpipe.sources.kaggle.retries import say

KEPT = paths.CACHE / "downloads"


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Download `download.kaggle.dataset` and repack it into the canonical archive at `target`.

    A download whose images have `download.expect.digest` is kept in `.ferpipe/downloads/`; while
    that digest is expected, neither network nor credentials are needed again.
    """
    digest = params.expect.digest
    kept = KEPT / f"{digest}.zip"
    if digest is not None and kept.is_file():
        try:
            contents = repacking.repack(kept, target, params)
            if contents.digest == digest:
                return contents
            problem = f"{kept} has other images than its name says"
        except PipelineError as error:
            problem = str(error)
        say(f"{problem}; downloading again")
    with files.scratch(paths.CACHE / "download") as folder:
        zipped = retries.download(params.kaggle, run.download_deadline, folder)
        try:
            contents = repacking.repack(zipped, target, params)
        except PipelineError as error:  # named by its path here, which is gone by then
            message = str(error).replace(str(zipped), f"Kaggle's {zipped.name}")
            raise PipelineError(message) from None
        if contents.digest == digest:
            KEPT.mkdir(exist_ok=True)
            zipped.replace(kept)
    if digest is None:
        say("the download is not kept, because download.expect.digest is null")
    return contents
