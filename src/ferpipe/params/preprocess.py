"""params.yaml, section `preprocess`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Section


class Preprocess(Section):
    """What the cached records hold."""

    image_size: Annotated[int, Field(ge=8, le=1024)] = Field(
        description="side of the square cached images, in pixels; larger sources are resized down"
    )
    color: Literal["grayscale", "rgb"] = Field(description="one channel or three")
    shard_size: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="images in one TFRecord shard"
    )
