"""params.yaml, section `evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ferpipe.params.reader import Section


class Evaluate(Section):
    """How results are reported."""

    confidence: Annotated[float, Field(ge=0.5, le=0.999)]
    """confidence level of all intervals"""
    figure_dpi: Annotated[int, Field(ge=50, le=600)]
    """resolution of the PNG figures in dots per inch"""
    robustness: bool
    """whether accuracy is also measured on corrupted test images: blur, noise, darkness, rotation,
    shift, scale, occlusion and JPEG, at three strengths each; predicts 24 times as many images"""
    dataset: Literal["auto", "ckplus", "ckplus-owners", "fer2013", "jaffe", "kdef", "raf-db"]
    """description of the images in report and model card: auto (by their content or name on
    Kaggle), or one of those that this package has"""
