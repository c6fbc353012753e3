"""params.yaml, section `cv`."""

from __future__ import annotations

from pydantic import Field, field_validator

from ferpipe.params.reader import Section, Seed


class CrossValidation(Section):
    """Cross-validation, run by the stages of cv/dvc.yaml."""

    seeds: list[Seed] = Field(min_length=1, json_schema_extra={"uniqueItems": True})
    """random seeds, a cross-validation each; replaces split.seed and train.seed"""
    folds: list[int] = Field(min_length=2, max_length=1000)
    """the folds, [0, ..., n - 1] for n of them; replaces split.folds and split.fold"""

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds should differ")
        return seeds

    @field_validator("folds")
    @classmethod
    def _from_0(cls, folds: list[int]) -> list[int]:
        if folds != list(range(len(folds))):
            raise ValueError("should be 0, 1, 2 and so on, such as [0, 1, 2, 3, 4] for five folds")
        return folds
