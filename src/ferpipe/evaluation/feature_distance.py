"""Feature distance: how unlike the training images a face is, in what the network sees of it.

The Mahalanobis distance to the nearest class mean (Lee et al. 2018,
https://arxiv.org/abs/1807.03888), of features projected as in `feature_network`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pydantic
from pydantic import Field, FiniteFloat

from ferpipe.core import files

DIRECTIONS = 64  # numbers of a projected feature
QUANTILE = 0.99  # of the images that set the limit are nearer
FLOOR = 1e-9  # of variances and the limit, should all images have the same features
DIGITS = 4  # significant ones of the numbers in the card

Row = list[FiniteFloat]


class FeatureDistance(pydantic.BaseModel, extra="forbid", frozen=True):
    """Where the training images of a model lie, in its projected features."""

    means: Annotated[list[Row], Field(min_length=1)]
    """whitened mean of each class (classes, DIRECTIONS)"""
    whitening: Annotated[list[Row], Field(min_length=DIRECTIONS, max_length=DIRECTIONS)]
    """rows of the lower triangle of the matrix that maps the classes' shared covariance to 1"""
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """QUANTILE of the distances of images that the network was not trained on"""
    limit_from: Literal["val", "test"]
    """the split of these images"""

    @pydantic.model_validator(mode="after")
    def _check_shapes(self) -> FeatureDistance:
        if any(len(mean) != DIRECTIONS for mean in self.means):
            raise ValueError(f"each mean should have {DIRECTIONS} numbers")
        if any(len(row) != number for number, row in enumerate(self.whitening, start=1)):
            raise ValueError("whitening should be a lower triangle")
        return self

    def relative(self, projected: np.ndarray) -> np.ndarray:
        """Distances, float64 (n,), of projected features (n, DIRECTIONS); 1 is the limit."""
        whitening = np.zeros((DIRECTIONS, DIRECTIONS))
        whitening[np.tril_indices(DIRECTIONS)] = np.concatenate(self.whitening)
        return _distances(projected @ whitening.T, np.array(self.means)) / self.limit


def fit(
    projected: np.ndarray, labels: np.ndarray, held_out: np.ndarray, limit_from: str
) -> FeatureDistance:
    """Fit means and covariance to projected training images, and the limit to those held out.

    Args:
        projected: float64 (n, DIRECTIONS).
        labels: int (n,), their classes.
        held_out: float64 (m, DIRECTIONS).
        limit_from: the split of those held out, val or test.
    """
    from sklearn.covariance import LedoitWolf  # not needed to use a distance

    present, rows = np.unique(labels, return_inverse=True)
    means = np.stack([projected[labels == label].mean(axis=0) for label in present])
    covariance = LedoitWolf(assume_centered=True).fit(projected - means[rows]).covariance_
    root = np.linalg.cholesky(covariance + FLOOR * np.eye(DIRECTIONS))
    whitening = np.tril(np.linalg.inv(root))
    # The limit is that of the rounded numbers.
    rounded = FeatureDistance(
        means=_rounded(means @ whitening.T),
        whitening=[_rounded(row[: number + 1]) for number, row in enumerate(whitening)],
        limit=1.0,
        limit_from=limit_from,
    )
    limit = max(FLOOR, float(np.quantile(rounded.relative(held_out), QUANTILE)))
    return rounded.model_copy(update={"limit": files.rounded(limit)})


def _distances(whitened: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Distance of each row to the nearest mean."""
    return np.linalg.norm(whitened[:, None] - means, axis=2).min(axis=1)


def _rounded(values: np.ndarray) -> list:
    return np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"))(values).tolist()
