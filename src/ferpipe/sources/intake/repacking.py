"""The canonical archive: one zip of `<label>/<file>`, whatever the images came from.

Members are sorted, stored (not compressed) and dated 1980, and hold each file's own bytes. So
the same images give the same archive from a Kaggle zip, a local zip or a local folder. Nothing is
ever extracted to disk, so no member can be written outside a folder.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.data.index import Image, content_digest
from ferpipe.sources.intake.class_folders import Member, class_members
from ferpipe.sources.intake.listing import Limits, open_tree

REFUSED = paths.CACHE / "refused.csv"


@dataclass(frozen=True)
class Contents:
    """What a canonical archive holds, sorted by path, and what was left out and why."""

    images: list[Image]
    skipped: list[tuple[str, str]]

    @property
    def class_counts(self) -> dict[str, int]:
        """Images of each class, classes in sorted order."""
        counts = Counter(image.label for image in self.images)
        return {label: counts[label] for label in sorted(counts)}

    @property
    def digest(self) -> str:
        """See `data.index.content_digest`."""
        return content_digest((image.path, image.sha256) for image in self.images)


def repack(
    source: Path,
    target: Path,
    root: str | None,
    max_bad_fraction: float,
    limits: Limits | None = None,
) -> Contents:
    """Turn a zip or a folder of class folders into the canonical archive.

    Args:
        source: a zip file or a folder; class folders may lie at any depth.
        target: where the canonical zip goes.
        root: the folder in `source` that holds the class folders; None finds it.
        max_bad_fraction: share of images that may be skipped because the policy refuses them.
        limits: how much `source` may hold; None sets none.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: the source is missing, unreadable, ambiguous, too large or holds too many bad
            images.
    """
    with open_tree(source, limits) as tree:
        members, skipped = class_members(tree, root, source)
        return pack(members, target, max_bad_fraction, skipped)


def pack(
    members: Sequence[Member],
    target: Path,
    max_bad_fraction: float = 0.0,
    skipped: Sequence[tuple[str, str]] = (),
) -> Contents:
    """Write the canonical archive.

    Args:
        members: the images; each is read, checked and written in turn, so memory stays flat.
        target: the zip to write.
        max_bad_fraction: share of `members` that may be refused by the image policy.
        skipped: (path, reason) of files that were left out before.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: two members or classes share a name, too many are refused, or under two
            classes remain.
    """
    members = sorted(members, key=lambda member: member.path)
    _check_names(members)
    taken: list[Image] = []
    refused: list[tuple[str, str]] = []
    with files.replacing(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for member in tqdm(members, desc="images", unit="image", disable=None, leave=False):
            data = member.read()
            try:
                image = images.decode(data)
            except images.ImageRefused as reason:
                refused.append((member.path, str(reason)))
                continue
            taken.append(
                Image(
                    path=member.path,
                    label=member.label,
                    width=image.width,
                    height=image.height,
                    mode=image.mode,
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
            zipped.writestr(files.zip_entry(member.path), data)
        _check_bad_fraction(refused, len(members), max_bad_fraction)
        contents = Contents(taken, sorted([*skipped, *refused]))
        if len(contents.class_counts) < 2:
            found = ", ".join(contents.class_counts) or "none"
            raise PipelineError(
                f"a classifier needs at least two classes with images, found {found}"
            )
    return contents


def _check_names(members: Sequence[Member]) -> None:
    """Refuse two names that are one, here or on a file system where case does not count."""
    classes = sorted({member.label for member in members})
    for what, names in (("classes", classes), ("files", [member.path for member in members])):
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(unicodedata.normalize("NFC", name.casefold()), name)
            if other is name:
                continue
            both = f"both named {name}" if other == name else f"named {other} and {name}"
            raise PipelineError(f"two {what} are {both}; rename one of them")


def verify(contents: Contents, class_counts: Mapping[str, int] | None, digest: str | None) -> None:
    """Hold what arrived against what `download.expect` says; None leaves a point unchecked.

    Raises:
        PipelineError: class counts or content digest differ; the message says what was found and
            how to accept it.
    """
    counts = contents.class_counts
    if class_counts is not None and counts != dict(class_counts):
        found = ", ".join(f"{label}: {count}" for label, count in counts.items())
        raise PipelineError(
            f"the class counts are not those of download.expect.class_counts; found {{{found}}}; "
            "if that is what you want, write it there (or null, to check nothing)"
        )
    if digest is not None and contents.digest != digest:
        raise PipelineError(
            f"the images are not those of download.expect.digest ({digest}); found "
            f"{len(contents.images)} images with digest {contents.digest}; if they are what you "
            "want, write that digest there (or null, to check nothing)"
        )


def _check_bad_fraction(refused: list[tuple[str, str]], total: int, allowed: float) -> None:
    most = int(allowed * total + 1e-9)  # 0.29 * 100 is 28.999999999999996
    if len(refused) <= most:
        return
    files.write_csv(REFUSED, paths.SKIPPED_COLUMNS, refused)
    path, reason = refused[0]
    raise PipelineError(
        f"{len(refused)} of {total} images cannot be used, download.max_bad_fraction = {allowed:g} "
        f"allows {most}; the first is {path} ({reason}); all are in {REFUSED}"
    )
