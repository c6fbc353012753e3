"""A data set on Kaggle, fetched with the official client.

The client has no timeout, prints and talks to the network as soon as it is imported, and takes
nearly any body for success. So it runs in a process of its own (`kaggle_client.py`) under
a deadline and into a fresh folder, and nothing it brings is believed before `repacking.repack` has
read every image and `repacking.verify` has held them against params.yaml. A download that was cut
short is never resumed: nothing proves that the rest belongs to the same file.
"""

from __future__ import annotations

from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.params import download
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking
from ferpipe.sources.kaggle import retries
from ferpipe.sources.kaggle.retries import say

KEPT = paths.CACHE / "downloads"


def fetch(params: download.Download, run: Run, target: Path) -> repacking.Contents:
    """Download `download.kaggle.dataset` and repack it into the canonical archive.

    A download that matches `download.expect.digest` is kept in `.ferpipe/downloads/`; as long as
    that digest is asked for, neither the network nor credentials are needed again.

    Args:
        params: the section `download`.
        run: the section `run`; `download_deadline` bounds the download, all tries together.
        target: where the canonical archive goes; untouched when anything fails.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: no credentials, Kaggle refuses, the deadline passed, or what came is not a
            sound zip of class folders that holds what `download.expect` says.
    """
    digest = params.expect.digest
    with files.scratch(paths.CACHE / "download") as folder:
        canonical = folder / "canonical.zip"
        zipped = None
        contents = _from_kept(params, canonical) if digest else None
        if contents is None:
            zipped = retries.download(params.kaggle, run.download_deadline, folder)
            contents = _repack(zipped, params, canonical)
        repacking.verify(contents, params.expect.class_counts, digest)
        if zipped is not None and digest is not None:
            KEPT.mkdir(exist_ok=True)
            zipped.replace(KEPT / f"{digest}.zip")
        elif digest is None:
            say("not kept for the next time, because download.expect.digest is null")
        target.parent.mkdir(parents=True, exist_ok=True)
        canonical.replace(target)
    return contents


def _from_kept(params: download.Download, canonical: Path) -> repacking.Contents | None:
    """Repack the kept download, if there is one and it still has the digest that names it.

    Kept is the zip as Kaggle sent it, so what `repacking.repack` leaves out is reported as it was
    the first time. One that fails stays until a sound download replaces it.
    """
    kept = KEPT / f"{params.expect.digest}.zip"
    if not kept.is_file():
        return None
    try:
        contents = repacking.repack(
            *(kept, canonical, params.root, params.max_bad_fraction, params.limits)
        )
    except PipelineError as error:
        problem = str(error)
    else:
        if contents.digest == params.expect.digest:
            return contents
        problem = f"{kept} holds other images than its name says"
    say(f"{problem}; downloading again")
    return None


def _repack(zipped: Path, params: download.Download, canonical: Path) -> repacking.Contents:
    """Repack what the client brought; errors name the data set, not a file that is gone by then."""
    try:
        return repacking.repack(
            *(zipped, canonical, params.root, params.max_bad_fraction, params.limits)
        )
    except PipelineError as error:
        raise PipelineError(str(error).replace(str(zipped), f"Kaggle's {zipped.name}")) from None
