"""Stage `download`: the source's images as one canonical archive, and its index."""

from __future__ import annotations

import importlib
from pathlib import Path

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import thumbnails
from ferpipe.params.download import Download
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking


def download(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Fetch the images into the archive at `target`, which stays as it is on an error."""
    # Only the source in use is imported: the sample does not need the Kaggle client.
    source = importlib.import_module(f"ferpipe.sources.{params.source}.source")
    with files.scratch(target) as folder:
        fetched = folder / target.name
        contents = source.fetch(params, run, fetched)
        repacking.verify(contents, params.expect)
        fetched.replace(target)
    return contents


@exits_cleanly("download")
def main() -> None:
    """Read params, download, write data/raw/ and print a summary."""
    params = read_section(paths.PARAMS, "download", Download)
    run = read_section(paths.PARAMS, "run", Run)
    contents = download(params, run, paths.IMAGES)
    tables.write_table(paths.INDEX, contents.images)
    thumbnails.write(paths.THUMBNAILS, contents.thumbnails)
    tables.write_table(paths.SKIPPED, repacking.skipped_table(contents.skipped))

    for note in contents.notes:
        print(f"download: WARNING: {note}")
    counts = ", ".join(f"{label} {count}" for label, count in contents.class_counts.items())
    print(f"download: {len(contents.images)} images from {params.source}: {counts}")
    if contents.skipped:
        print(f"download: skipped files: {len(contents.skipped)}, reasons in {paths.SKIPPED}")
    pinned = "as pinned" if params.expect.digest else "pin it as download.expect.digest"
    print(f"download: content digest {contents.digest} ({pinned})")
    print(f"download: images in {paths.IMAGES}, their index in {paths.INDEX}")
