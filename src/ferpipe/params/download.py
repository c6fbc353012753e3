"""params.yaml, section `download`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Fraction, Section, Seed, Sha256

Count = Annotated[int, Field(ge=1)]


class Kaggle(Section):
    """A data set on Kaggle."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+$")]
    """owner/name, as in the URL of the data set"""
    version: Count | None
    """version of the data set on Kaggle; null: the newest"""


class Local(Section):
    """Images on this machine."""

    path: Annotated[str, Field(min_length=1, pattern=r"^[^~]")]
    """zip or folder with one subfolder per class; relative to the repository"""


class Sample(Section):
    """The built-in sample: faces that this package draws."""

    subjects: Annotated[int, Field(ge=2, le=999)]
    """number of people; each shows seven expressions in three consecutive frames"""
    seed: Seed
    """random seed of the drawn faces"""


class Limits(Section):
    """Upper limits for a downloaded or local zip or folder; only images count towards sizes."""

    files: Count
    """number of files"""
    file_mb: Count
    """size of one image in MB (10^6 bytes), uncompressed"""
    total_mb: Count
    """size of all images in MB (10^6 bytes), uncompressed"""
    ratio: Count
    """uncompressed size of all images divided by the size of the zip"""


class Expect(Section):
    """Checks of the content of the archive."""

    class_counts: dict[str, Count] | None
    """number of images per class; null: no check"""
    digest: Sha256 | None
    """SHA-256 of paths and image hashes, as printed by `download`; null: no check"""


class Download(Section):
    """The images of the experiment."""

    source: Literal["sample", "kaggle", "local"]
    """sample (faces drawn by this package), kaggle, or local (your own images)"""
    root: str | None
    """folder in the archive that contains the class folders; null: find it"""
    max_bad_fraction: Fraction
    """fraction of images that may be skipped as unusable; a larger fraction is an error"""
    limits: Limits
    """upper limits for a downloaded or local zip or folder"""
    expect: Expect
    """checks of the content of the archive"""
    sample: Sample
    """used when source is sample"""
    kaggle: Kaggle
    """used when source is kaggle"""
    local: Local
    """used when source is local"""
