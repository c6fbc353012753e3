"""params.yaml, section `preprocess`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Section


class Preprocess(Section):
    """Size and format of the cached images."""

    image_size: Annotated[int, Field(ge=8, le=1024)]
    """side of the cached images in pixels; the centre square, resized bicubically"""
    color: Literal["grayscale", "rgb"]
    """grayscale (one channel) or rgb (three channels)"""
    shard_size: Annotated[int, Field(ge=1, le=100_000)]
    """images per TFRecord shard"""
