"""params.yaml, section `run`: settings that cannot change an output; no stage depends on them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ferpipe.params.reader import Section


class Run(Section):
    """Settings that cannot change an output."""

    workers: Annotated[int, Field(ge=0, le=256)]
    """threads or processes that decode images and draw the sample; 0: one per core"""
    memory_mb: Annotated[int, Field(ge=0, le=1_000_000)]
    """memory in MB that the images of a split may take; a larger split is read batch by batch"""
    download_deadline: Annotated[int, Field(ge=1, le=86_400)]
    """time limit of a download in seconds, including retries"""
    checkpoint_seconds: Annotated[int, Field(ge=0, le=86_400)]
    """minimum time between two checkpoints in seconds; 0: after every epoch"""
