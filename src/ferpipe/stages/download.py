"""Stage `download`: the source's images as one canonical archive, and its index."""

from __future__ import annotations

import importlib
from dataclasses import astuple
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.params.download import Download
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking


def download(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Fetch the images and hold them against what is expected.

    Args:
        params: the section `download`.
        run: the section `run`.
        target: where the canonical archive goes; untouched when anything fails.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: the source cannot be had, or is not what `download.expect` says.
    """
    # Only the source in use is imported: the sample needs no Kaggle client.
    source = importlib.import_module(f"ferpipe.sources.{params.source}.source")
    with files.scratch(target) as folder:
        fetched = folder / target.name
        contents = source.fetch(params, run, fetched)
        repacking.verify(contents, params.expect.class_counts, params.expect.digest)
        fetched.replace(target)
    return contents


@exits_cleanly("download")
def main() -> None:
    """Read params, download, write `data/raw/` and say what came."""
    params = read_section(paths.PARAMS, "download", Download)
    run = read_section(paths.PARAMS, "run", Run)
    contents = download(params, run, paths.IMAGES)
    files.write_csv(paths.INDEX, paths.INDEX_COLUMNS, map(astuple, contents.images))
    files.write_csv(paths.SKIPPED, paths.SKIPPED_COLUMNS, contents.skipped)

    counts = ", ".join(f"{label} {count}" for label, count in contents.class_counts.items())
    print(f"download: {len(contents.images)} images from {params.source}: {counts}")
    if contents.skipped:
        print(f"download: files left out: {len(contents.skipped)}, reasons in {paths.SKIPPED}")
    pinned = "as pinned" if params.expect.digest else "pin it as download.expect.digest"
    print(f"download: content digest {contents.digest} ({pinned})")
    print(f"download: they are listed in {paths.INDEX}, and lie in {paths.IMAGES}")
