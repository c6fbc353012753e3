"""The card in a model file: what a user of the model needs to know, in its metadata.json."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from ferpipe.core import files
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.data.archive import DAMAGED
from ferpipe.evaluation.feature_distance import FeatureDistance

METADATA = "metadata.json"
KEY = "ferpipe"
VERSION = 1
Point = tuple[float, float]


class Card(pydantic.BaseModel, extra="forbid", frozen=True):
    """What a model takes, gives and is worth."""

    version: int = VERSION
    classes: Annotated[list[str], Field(min_length=2)]
    """names of the outputs, in their order"""
    image_size: Annotated[int, Field(gt=0)]
    """side of the images that it takes, with values 0 to 255"""
    channels: Annotated[int, Field(ge=1, le=3)]
    """1 for gray, 3 for RGB"""
    framing: Annotated[list[Point], Field(min_length=5, max_length=5)] | None
    """where eyes, nose and mouth corners lie in its training images (x, y from the left upper
    corner, in sides of the image); None if that could not be measured"""
    temperature: float
    """its logits are divided by this before the softmax; 1 has no effect"""
    headline: str
    """accuracy on test with its interval"""
    protocol: str
    """how the images were split and used"""
    params_sha256: str
    """digest of the params that it was made from"""
    data: str | None = None
    """the data set that it was trained on"""
    limits: list[str] = []
    """what cannot be said of it, because of the data, in sentences"""
    feature_distance: FeatureDistance | None = None
    """where its training images lie, to tell faces that are unlike them; None if not measured"""

    @property
    def about(self) -> str:
        """What it was trained on, its accuracy, and the first of its limits, in sentences."""
        origin = f"Trained on {self.data}: " if self.data else ""
        return " ".join([f"{origin}{self.headline}.", *self.limits[:1]])


def publish(trained: Path, target: Path, card: Card) -> None:
    """Write the model file `trained` to `target`, with a card; equal inputs give equal bytes."""
    with zipfile.ZipFile(trained) as zipped:
        parts = {name: zipped.read(name) for name in zipped.namelist()}
    metadata = {**json.loads(parts[METADATA]), KEY: card.model_dump(mode="json")}
    parts[METADATA] = json.dumps(metadata, sort_keys=True).encode()
    with files.replacing(target) as file, zipfile.ZipFile(file, "w") as zipped:
        for name, data in parts.items():
            zipped.writestr(files.zip_entry(name), data)


def read_card(path: Path) -> Card:
    """Read the card of a model file.

    Raises:
        PipelineError: the file is missing, is no model file, or has no card that this version of
            the package reads.
    """
    if not path.is_file():
        raise PipelineError(f"{path} is missing; run `dvc repro`, which makes it")
    try:
        with zipfile.ZipFile(path) as zipped:
            metadata = json.loads(zipped.read(METADATA))
    except (*DAMAGED, KeyError) as error:
        raise PipelineError(f"{path} is not a model file: {one_line(error)}") from None
    return checked(metadata, path)


def find_card(path: Path) -> Card | None:
    """The card of a model file; None if it has none that can be read."""
    try:
        return read_card(path)
    except PipelineError:
        return None


def checked(metadata: Any, path: Path) -> Card:
    """The card in the metadata of the file `path`; raises PipelineError if it has none to read."""
    found = metadata.get(KEY) if isinstance(metadata, dict) else None
    remedy = "use models/model.keras, which `dvc repro` writes"
    if not isinstance(found, dict):
        raise PipelineError(f"{path} has no card with classes and input form; {remedy}")
    if found.get("version") != VERSION:
        raise PipelineError(
            f"{path} has a card of version {found.get('version')!r}, not {VERSION}; use the "
            "version of ferpipe that wrote it, or run `dvc repro`"
        )
    try:
        return Card(**found)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise PipelineError(f"{path}: its card, {key!r}: {first['msg']}; {remedy}") from None
