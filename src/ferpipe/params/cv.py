"""params.yaml, section `cv`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ferpipe.params.reader import Section

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class CrossValidation(Section):
    """Cross-validation, run by the stages of cv/dvc.yaml."""

    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(
        description="random seeds, one ten-fold cross-validation each; replaces split.seed and "
        "train.seed",
        json_schema_extra={"uniqueItems": True},
    )

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("each seed should stand there once")
        return seeds
