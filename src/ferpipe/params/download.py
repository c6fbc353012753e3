"""params.yaml, section `download`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ferpipe.params.reader import Fraction, Section, Seed, Sha256, known_groups

LAYOUT_GROUPS = ("label", "subject", "sequence", "part")


def _pattern(pattern: str) -> str:
    return known_groups(pattern, LAYOUT_GROUPS)


def _dataset(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+", text):
        raise ValueError("should be owner/name, competitions/name, or the address of its page")
    return text


def _expanded(path: str) -> str:
    if path.startswith("~"):
        # `dvc.yaml` has this path as a dependency.
        full = Path(path).expanduser()
        raise ValueError(f"DVC does not expand `~`; write the whole path, such as {full}")
    return path


def _encoding(name: str) -> str:
    try:
        b"".decode(name)
    except (LookupError, ValueError):
        raise ValueError("is not an encoding that Python knows, such as gbk or cp437") from None
    return name


Count = Annotated[int, Field(ge=1)]
Column = Annotated[int, Field(ge=0)]
# YAML reads the class names 1 to 7 as numbers.
Name = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) is int else name)]


# What Kaggle's pages show of a data set: the address, and the command that downloads it.
ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?kaggle\.com/(?:api/v1/)?"
    r"(?:datasets/(?:download/)?|(?P<competition>c/|competitions/(?:data/download-all/)?))?"
    r"(?P<name>[^?#\s]+)"
)
COMMAND = re.compile(
    r"kaggle (?:datasets|(?P<competition>competitions)) download\s+"
    r"(?:(?:-d|--dataset|-c|--competition)[ =]\s*)?(?P<name>\S+)"
)


class Kaggle(Section):
    """A data set on Kaggle."""

    dataset: Annotated[str, AfterValidator(_dataset)]
    """owner/name, competitions/name, or the address of its page"""
    version: Count | None
    """version of the data set on Kaggle; null: the newest"""

    @model_validator(mode="before")
    @classmethod
    def _read_address(cls, values: Any) -> Any:
        """Replace an address by owner/name, and the version by that of the address."""
        if not isinstance(values, dict) or not isinstance(values.get("dataset"), str):
            return values
        text = values["dataset"].strip()
        if text.startswith("c/"):
            return {**values, "dataset": f"competitions/{text[2:]}"}
        address = ADDRESS.match(text) or COMMAND.match(text)
        if address is None:
            return values
        owner, *rest = address["name"].split("/")
        if address["competition"]:
            return {**values, "dataset": f"competitions/{owner}"}
        if not rest:
            return values
        values = {**values, "dataset": f"{owner}/{rest[0]}"}
        if rest[1:2] == ["versions"] and rest[2:] and rest[2].isdecimal():
            version = int(rest[2])
            if values.get("version") not in (None, version):
                raise ValueError(f"dataset is the address of version {version}; set version to it")
            values["version"] = version
        return values

    @model_validator(mode="after")
    def _without_versions(self) -> Self:
        if self.competition and self.version is not None:
            raise ValueError("a competition has no versions; set version to null")
        return self

    @property
    def competition(self) -> str | None:
        """The name of the competition, None for a data set."""
        owner, name = self.dataset.split("/")
        return name if owner == "competitions" else None


class Local(Section):
    """Images on this machine."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_expanded)]
    """folder, zip, tar or CSV; relative to the repository"""


class Sample(Section):
    """The built-in sample: faces that this package draws."""

    subjects: Annotated[int, Field(ge=2, le=100_000)]
    """number of people; each shows seven expressions in three consecutive frames"""
    seed: Seed
    """random seed of the drawn faces"""


class Layout(Section):
    """How a source tells the label, subject, sequence and official part of each image."""

    kind: Literal["auto", "folders", "pattern", "table", "frames", "rows"]
    """where labels are: auto (find it), folders (class folders), pattern (paths, by regex),
    table (a labels file), frames (CK+'s label files beside sequences), rows (of a CSV)"""
    pattern: Annotated[str, AfterValidator(_pattern)] | None
    """regex searched in the path of each image; groups: label, subject, sequence, part; with
    folders, label may be missing; an image that matches without its label is left out"""
    file: str | None
    """path in the source of the CSV of rows, of the labels file of a table, or of the folder of
    label files of frames; null: find it"""
    columns: dict[Literal["path", "label", "part", "subject", "sequence", "pixels"], str | Column]
    """columns of a table or rows, by name or number from 0; those left out are found by name"""
    last_frames: Count
    """number of last frames of each labelled sequence that are taken; frames only"""
    parts: dict[Name, Literal["train", "val", "test"]]
    """further names of official parts, such as {fold5: test}; train, validation, PublicTest and
    the like are known"""
    classes: dict[Name, Annotated[str, Field(min_length=1)] | None]
    """class of each label that is renamed or merged, such as {1: anger, angry: anger}; null:
    leave its images out"""
    name_encoding: Annotated[str, AfterValidator(_encoding)] | None
    """encoding of file names in an archive that does not say it, such as gbk; null: UTF-8"""


class Convert(Section):
    """Images that are refused because they cannot become 8-bit gray or RGB without loss."""

    background: Annotated[str, Field(pattern="^#[0-9a-f]{6}$")] | None
    """colour behind transparent pixels, such as '#ffffff'; null: refuse transparent images"""
    cmyk: bool
    """convert CMYK to RGB"""
    deep: bool
    """convert more than 8 bits per channel to 8, by the upper 8 bits"""
    frames: bool
    """take the first of several frames"""


class Limits(Section):
    """Upper limits for a downloaded or local zip or folder; only images count towards sizes."""

    files: Count
    """number of files"""
    file_mb: Count
    """size of one image file in MB (10^6 bytes), unpacked"""
    total_mb: Count
    """size of all image files in MB (10^6 bytes), unpacked"""
    ratio: Count
    """unpacked size of all image files divided by the size of the zip"""


class Expect(Section):
    """Checks of the content of the archive."""

    class_counts: dict[Name, Count] | None
    """number of images per class; null: no check"""
    digest: Sha256 | None
    """SHA-256 of paths and image hashes, as printed by `download`; null: no check"""


class Download(Section):
    """The images of the experiment."""

    source: Literal["sample", "kaggle", "local"]
    """sample (faces drawn by this package), kaggle, or local (your own images)"""
    root: str | None
    """folder of the source to read, to which paths of the layout are relative; null: all of it"""
    layout: Layout
    """how labels, subjects and official parts are told; `ferpipe inspect` suggests values"""
    max_bad_fraction: Fraction
    """fraction of images that may be skipped as unusable; a larger fraction is an error"""
    conflicts: Literal["error", "drop"]
    """identical images with different labels: error, or drop all of them"""
    convert: Convert
    """conversions with loss, off unless set; an image that needs one is refused"""
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
