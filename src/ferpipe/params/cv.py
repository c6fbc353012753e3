"""params.yaml, section `cv`."""

from __future__ import annotations

from pydantic import Field, field_validator

from ferpipe.params.reader import Section, Seed


class CrossValidation(Section):
    """Cross-validation, run by the stages of cv/dvc.yaml."""

    seeds: list[Seed] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    """random seeds, a ten-fold cross-validation each; replaces split.seed and train.seed"""

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds should differ")
        return seeds
