"""params.yaml, section `download`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Section, Sha256


class Kaggle(Section):
    """A data set on Kaggle."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+$")] = Field(
        description="owner/name, as in the URL of the data set"
    )
    version: Annotated[int, Field(ge=1)] | None = Field(
        description="version of the data set on Kaggle; null: the newest"
    )


class Local(Section):
    """Images on this machine."""

    path: Annotated[str, Field(min_length=1, pattern=r"^[^~]")] = Field(
        description="zip or folder with one subfolder per class; relative to the repository"
    )


class Sample(Section):
    """The built-in sample: faces that this package draws."""

    subjects: Annotated[int, Field(ge=2, le=999)] = Field(
        description="number of people; each shows seven expressions in three consecutive frames"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="random seed of the drawn faces"
    )


class Limits(Section):
    """Upper limits for a downloaded or local zip or folder; only images count towards sizes."""

    files: Annotated[int, Field(ge=1)] = Field(description="number of files")
    file_mb: Annotated[int, Field(ge=1)] = Field(
        description="size of one image in MB (10^6 bytes), uncompressed"
    )
    total_mb: Annotated[int, Field(ge=1)] = Field(
        description="size of all images in MB (10^6 bytes), uncompressed"
    )
    ratio: Annotated[int, Field(ge=1)] = Field(
        description="uncompressed size of all images divided by the size of the zip"
    )


class Expect(Section):
    """Checks of the content of the archive."""

    class_counts: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        description="number of images per class; null: no check"
    )
    digest: Sha256 | None = Field(
        description="SHA-256 of paths and image hashes, as printed by `download`; null: no check"
    )


class Download(Section):
    """The images of the experiment."""

    source: Literal["sample", "kaggle", "local"] = Field(
        description="sample (faces drawn by this package), kaggle, or local (your own images)"
    )
    root: str | None = Field(
        description="folder in the archive that contains the class folders; null: find it"
    )
    max_bad_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="fraction of images that may be skipped as unusable; above it: an error"
    )
    limits: Limits = Field(description="upper limits for a downloaded or local zip or folder")
    expect: Expect = Field(description="checks of the content of the archive")
    sample: Sample = Field(description="used when source is sample")
    kaggle: Kaggle = Field(description="used when source is kaggle")
    local: Local = Field(description="used when source is local")
