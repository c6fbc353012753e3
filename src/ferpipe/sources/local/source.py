"""Images on this machine: a zip or a folder, with one folder per class."""

from __future__ import annotations

from pathlib import Path

from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Repack `download.local.path` into the canonical archive at `target`; see `repack`."""
    return repacking.repack(Path(params.local.path), target, params, run.workers)
