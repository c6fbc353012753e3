"""The edges (discrete Laplacian) of thumbnails, in exact integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ferpipe.data.thumbnails import SIDE


class Edges(NamedTuple):
    """Centred Laplacians, split into what mirroring keeps and what it negates.

    `even` and `odd` are integers as float64 (n, 50): the sum of and the difference between a pixel
    and its mirror image. `lengths` are those of the Laplacians (n), 1 instead of 0.
    """

    even: np.ndarray
    odd: np.ndarray
    lengths: np.ndarray

    def unit(self) -> tuple[np.ndarray, np.ndarray]:
        """Both halves in float32, divided so that all 100 values of an image have length 1."""
        scale = 1 / (np.sqrt(2) * self.lengths[:, None])
        return (self.even * scale).astype(np.float32), (self.odd * scale).astype(np.float32)


def _halves(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`even` and `odd` of `Edges`, from gray values int (n, 12, 12)."""
    inner = 4 * gray[:, 1:-1, 1:-1]
    inner -= gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    size = inner[0].size
    centred = size * inner - inner.sum(axis=(1, 2), keepdims=True)
    left, right = np.split(centred, 2, axis=2)
    right = right[:, :, ::-1]
    even, odd = (half.reshape(len(gray), -1) for half in (left + right, left - right))
    return even.astype(np.float64), odd.astype(np.float64)


# Halves are linear in the gray values, and so one product of each pixel's.
_OF_PIXELS = _halves(np.eye(SIDE * SIDE, dtype=np.int32).reshape(-1, SIDE, SIDE))


def edges_of(thumbnails: np.ndarray) -> Edges:
    """The edges of thumbnails, uint8 (n, 12, 12)."""
    gray = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    even, odd = (gray @ of_pixels for of_pixels in _OF_PIXELS)
    squares = np.einsum("ij,ij->i", even, even) + np.einsum("ij,ij->i", odd, odd)
    lengths = np.sqrt(squares / 2)
    return Edges(even, odd, np.where(lengths == 0, 1.0, lengths))
