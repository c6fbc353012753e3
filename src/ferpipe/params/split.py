"""params.yaml, section `split`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ferpipe.params.reader import Fraction, Section, Seed, known_groups

NAME_GROUPS = ("subject", "sequence")


class Split(Section):
    """How images are split into train, val (selects the epoch) and test."""

    seed: Seed
    """random seed of the split"""
    test_size: Annotated[float, Field(gt=0, lt=1)]
    """fraction of images in the test split; ignored where folds, official parts or a file set it"""
    val_size: Fraction
    """fraction of images in the validation split, of the official train with official parts; 0:
    test is the validation split too"""
    group_by: Literal["none", "sequence", "subject"]
    """images that stay in one split: none (no groups), sequence or subject"""
    name_pattern: str
    """regex for file names; its groups `subject` and `sequence` are person and recording, where
    the source's layout does not tell them"""
    official: Literal["ignore", "use"]
    """official parts of the source: ignore, or use (test is the official test, val the official
    val or val_size of the official train)"""
    assigned: Annotated[str, Field(min_length=1, pattern=r"^[^~]")]
    """CSV that assigns each path, sequence or subject to a part or to a fold, instead of a random
    split; a file without rows assigns nothing"""
    folds: Annotated[int, Field(ge=2, le=1000)] | None
    """number of folds, one of which is the test split; null: use test_size, or those of the file
    assigned"""
    fold: Annotated[int, Field(ge=0)]
    """index of the fold that is the test split, from 0"""

    @field_validator("name_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return known_groups(pattern, NAME_GROUPS)

    @model_validator(mode="after")
    def _fits_together(self) -> Split:
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold = {self.fold} should be below folds = {self.folds}")
        if self.folds is not None and self.official == "use":
            raise ValueError(
                f"folds = {self.folds} and official = 'use' both choose the test split; set folds "
                "to null, or official to 'ignore'"
            )
        test = 1 / self.folds if self.folds else self.test_size
        test = 0 if self.official == "use" else test
        if test + self.val_size > 0.95:
            raise ValueError(
                f"test ({test:.3g}) and val_size ({self.val_size:.3g}) should leave at least 5% "
                "of the images for training"
            )
        return self
