"""Images that lie on this machine: a zip, or a folder with one folder a class."""

from __future__ import annotations

from pathlib import Path

from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Repack `download.local.path` into the canonical archive.

    Args:
        params: the section `download`.
        run: the section `run`; not needed here.
        target: where the canonical archive goes.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: see `repacking.repack`.
    """
    return repacking.repack(
        *(Path(params.local.path), target, params.root, params.max_bad_fraction, params.limits)
    )
