"""Identical images with different labels, none of which can be trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError

TABLE = paths.CACHE / "conflicts.csv"
REASON = "same image with another label: "


def find(paths: Sequence[str], labels: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Map the path of each image to the first one with the same pixels and another label.

    Args:
        paths: of the images, sorted.
        labels: of each.
        digests: of the pixels of each, see `data.images.pixel_digest`.
    """
    images = pd.DataFrame({"path": paths, "label": labels, "digest": digests})
    images = images[images["digest"].duplicated(keep=False)]
    # The first image of each label, by the digest of the pixels.
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for image in images.itertuples():
        first[image.digest].setdefault(image.label, image.path)
    return {
        image.path: min(path for label, path in first[image.digest].items() if label != image.label)
        for image in images.itertuples()
        if len(first[image.digest]) > 1
    }


def refuse(conflicts: dict[str, str]) -> None:
    """Raise PipelineError, and list all images in `TABLE`."""
    tables.write_table(TABLE, pd.DataFrame(conflicts.items(), columns=["path", "same_image_as"]))
    path, other = next(iter(conflicts.items()))
    raise PipelineError(
        f"{path} and {other} are the same image with different labels; correct the source, or set "
        f"download.conflicts to drop, which leaves out all such images ({len(conflicts)}, listed "
        f"in {TABLE})"
    )


def note(conflicts: dict[str, str]) -> list[str]:
    """A note for the user that the images are left out."""
    why = "because the same image has another label"
    left_out = f"images left out, {why}: {len(conflicts)}; they are in {paths.SKIPPED}"
    return [left_out] if conflicts else []
