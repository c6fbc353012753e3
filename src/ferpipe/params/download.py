"""params.yaml, section `download`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Section, Sha256


class Kaggle(Section):
    """A data set on Kaggle."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+$")] = Field(
        description="owner/name, as in the page's address"
    )
    version: Annotated[int, Field(ge=1)] | None = Field(
        description="the data set's version on Kaggle; null takes the newest"
    )


class Local(Section):
    """Images on this machine."""

    path: Annotated[str, Field(min_length=1, pattern=r"^[^~]")] = Field(
        description="a zip, or a folder with one folder a class; relative to the repository"
    )


class Sample(Section):
    """The built-in sample: faces that this package draws."""

    subjects: Annotated[int, Field(ge=2, le=999)] = Field(
        description="how many people; each shows every expression in three neighbouring frames"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(description="another seed, other people")


class Limits(Section):
    """How much a zip or a folder may hold; what is no image counts as a file and no more."""

    files: Annotated[int, Field(ge=1)] = Field(description="files in it")
    file_mb: Annotated[int, Field(ge=1)] = Field(description="megabytes of one image, unpacked")
    total_mb: Annotated[int, Field(ge=1)] = Field(
        description="megabytes of all images together, unpacked"
    )
    ratio: Annotated[int, Field(ge=1)] = Field(
        description="how many times as large as the zip its images are"
    )


class Expect(Section):
    """What the archive must hold; null leaves a point unchecked."""

    class_counts: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        description="images of each class"
    )
    digest: Sha256 | None = Field(
        description="digest of the content, as `download` prints it: label/file names and SHA-256"
    )


class Download(Section):
    """Which images the experiment is made of."""

    source: Literal["sample", "kaggle", "local"] = Field(description="where images come from")
    root: str | None = Field(
        description="the folder in the archive that holds the class folders; null finds it"
    )
    max_bad_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of images that may be skipped because they cannot be used"
    )
    limits: Limits = Field(description="how much may arrive")
    expect: Expect = Field(description="what must have arrived")
    sample: Sample = Field(description="used when source is sample")
    kaggle: Kaggle = Field(description="used when source is kaggle")
    local: Local = Field(description="used when source is local")
