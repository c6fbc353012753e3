"""params.yaml, section `run`: what cannot change an output, so no stage depends on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ferpipe.params.reader import Section


class Run(Section):
    """How the work is done, never what comes out of it."""

    workers: Annotated[int, Field(ge=0, le=256)] = Field(
        description="threads that decode images; 0: one a core"
    )
    download_deadline: Annotated[int, Field(ge=1, le=86_400)] = Field(
        description="seconds after which a download is given up"
    )
    checkpoint_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        description="seconds of training between two checkpoints, at the least; 0: after each epoch"
    )
