"""The canonical archive: one zip of `<label>/<file>`, whatever the images came from.

Members are sorted, stored (not compressed), dated 1980, and hold each file's own bytes, or a PNG if
`download.convert` has changed the image. So the same images give the same archive from a Kaggle
zip, a local zip or a local folder. Nothing is extracted to disk, so no member can be written
outside a folder.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data.images import Conversions
from ferpipe.data.index import content_digest
from ferpipe.params.download import Download, Expect
from ferpipe.sources.intake import conflicts, writing
from ferpipe.sources.intake.distinct import distinct
from ferpipe.sources.intake.files.listing import open_tree
from ferpipe.sources.intake.layouts import kinds
from ferpipe.sources.intake.member import Member

REFUSED = paths.CACHE / "refused.csv"


@dataclass(frozen=True)
class Contents:
    """The images of a canonical archive, and (path, reason) of skipped files; sorted by path.

    `images` has the columns of index.csv, `thumbnails` those of each image, see `data.thumbnails`;
    `notes` are one-line warnings for the user.
    """

    images: pd.DataFrame
    thumbnails: np.ndarray
    skipped: list[tuple[str, str]]
    notes: tuple[str, ...] = ()

    @property
    def class_counts(self) -> dict[str, int]:
        """Images of each class, in sorted order."""
        return dict(sorted(Counter(self.images["label"]).items()))

    @functools.cached_property
    def digest(self) -> str:
        """See `data.index.content_digest`."""
        return content_digest(zip(self.images["path"], self.images["sha256"], strict=True))


def repack(source: Path, target: Path, params: Download, workers: int) -> Contents:
    """Turn a source of any known layout into the canonical archive; see `pack`."""
    with open_tree(source, params.limits, params.layout.name_encoding) as tree:
        found = kinds.members(tree, params.layout, params.root, source)
        tree.clear()  # members do not need the paths, which of a million images take a gigabyte
        return pack(found.members, target, params, workers, found.skipped, found.notes)


def pack(
    members: list[Member],
    target: Path,
    params: Download,
    workers: int,
    skipped: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> Contents:
    """Write the images to the canonical archive at `target`, a few at a time; empties the list.

    `skipped` has (path, reason) of other files of the source; `workers` threads decode (0: one per
    core). Of several images with the same name the first keeps it.
    """
    ordered, total = distinct(members), len(members)
    members.clear()
    with files.replacing(target) as file:
        conversions = Conversions(**dict(params.convert))
        written = writing.write(file, ordered, conversions, workers)
        _check_bad_fraction(written.refused, total, params.max_bad_fraction)
        images = written.images
        dropped = conflicts.find(images["path"], images["label"], images["pixels_sha256"])
        if dropped and params.conflicts == "error":
            conflicts.refuse(dropped)
        kept = images[~images["path"].isin(dropped)].sort_values("path")
        thumbnails = written.thumbnails
        if not kept.index.equals(images.index):
            writing.rewrite(file, kept["path"], target.parent)
            thumbnails = thumbnails[kept.index]
        reasons = [(path, conflicts.REASON + other) for path, other in dropped.items()]
        contents = Contents(
            kept.reset_index(drop=True),
            thumbnails,
            sorted([*skipped, *written.refused, *reasons]),
            (*notes, *writing.note(written.converted), *conflicts.note(dropped)),
        )
        if len(contents.class_counts) < 2:
            classes = ", ".join(contents.class_counts) or "none"
            needed = "a classifier needs at least two classes with images"
            raise PipelineError(f"{needed}; classes: {classes}")
    return contents


def _check_bad_fraction(refused: list[tuple[str, str]], total: int, allowed: float) -> None:
    most = int(allowed * total + 1e-9)  # 0.29 * 100 is 28.999999999999996
    if len(refused) > most:
        tables.write_table(REFUSED, skipped_table(refused))
        path, reason = refused[0]
        raise PipelineError(
            f"{len(refused)} of {total} images cannot be used, download.max_bad_fraction = "
            f"{allowed:g} allows {most}; the first is {path} ({reason}); all are in {REFUSED}"
        )


def skipped_table(skipped: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The table of (path, reason) of each file."""
    return pd.DataFrame(skipped, columns=list(paths.SKIPPED_COLUMNS))


def verify(contents: Contents, expect: Expect) -> None:
    """Raise PipelineError if class counts or digest differ from those expected."""
    verify_counts(contents, expect)
    if expect.digest is not None and contents.digest != expect.digest:
        raise PipelineError(
            f"the images are not those of download.expect.digest ({expect.digest}): "
            f"{len(contents.images)} images with digest {contents.digest}; to accept them, write "
            "that digest there (or null: no check)"
        )


def verify_counts(contents: Contents, expect: Expect) -> None:
    """Raise PipelineError if the class counts differ from those expected."""
    counts = contents.class_counts
    if expect.class_counts is not None and counts != expect.class_counts:
        actual = ", ".join(f"{label}: {count}" for label, count in counts.items())
        raise PipelineError(
            f"the class counts are {{{actual}}}, not those of download.expect.class_counts; to "
            "accept them, write them there (or null: no check)"
        )
