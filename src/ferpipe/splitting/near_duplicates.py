"""Near-duplicates between training and held-out images, from their pixels alone.

Two images are near-duplicates if the edges (discrete Laplacian) of their 12x12 thumbnails, one of
them mirrored or not, correlate by 0.93 or more. On 80/20 splits of single images (seeds 1 to 5),
they agree with the sequences in file names: precision 100%, recall 99.1% on CK+ and 93.7% on drawn
faces, whose frames differ more. Splits by subject have none on CK+ (highest correlation: 0.912) and
none on 999 drawn people. Gray values agree less than edges.

Correlations come from integers below 2**53, so they are exact up to the last division and the same
on any processor, whatever the order of the sums. Single precision, twice as fast, finds where a
higher one may be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ferpipe.core import threads
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CACHE
from ferpipe.core.tables import write_table

NEAR = 0.93
# The splits that each held-out split is compared with.
COMPARED_WITH = {"val": ("train",), "test": ("train", "val")}
# Held-out and training images that are compared at a time: their products fit a processor's cache.
ROWS, COLUMNS = 512, 512
# Bound of the error of a correlation in single precision: 50 products of numbers that are at most 1
# in all, each rounded a few times by 2**-24.
ERROR = 2e-5
CONFLICTS = CACHE / "conflicts.csv"


def repeats(paths: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Map each image that repeats an earlier one pixel by pixel to the first with its pixels.

    Raises:
        PipelineError: two of them have different labels.
    """
    first: dict[str, str] = {}
    result = {
        path: first[digest]
        for path, digest in zip(paths, digests, strict=True)
        if first.setdefault(digest, path) != path
    }
    conflicts = [pair for pair in result.items() if len({path.split("/")[0] for path in pair}) > 1]
    if conflicts:
        write_table(CONFLICTS, pd.DataFrame(conflicts, columns=["path", "same_image_as"]))
        path, other = conflicts[0]
        more = f"; {len(conflicts)} such pairs are in {CONFLICTS}" if len(conflicts) > 1 else ""
        raise PipelineError(
            f"{other} and {path} are the same image with different labels; remove at least one "
            f"of them from the source{more}"
        )
    return result


def closest(thumbnails: np.ndarray, splits: Sequence[str]) -> pd.DataFrame:
    """Find the training image closest to each held-out image.

    Args:
        thumbnails: uint8 (n, 12, 12), see `data.thumbnails`.
        splits: the split of each image (n).

    Returns:
        Row positions `image` (held out) and `closest` (the first of equally close ones), their
        `similarity` (correlation, -1..1; 0 without edges), `mirrored` and `near_duplicate`; sorted
        by descending similarity, then `image`.
    """
    splits = np.asarray(splits)
    edges = _edges(thumbnails)

    def compare(block: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        return block[0], *_most_similar(edges, *block)

    found = []
    total = int((splits != "train").sum())
    with (
        # Its own threads, which wait for each other, would take most of the time.
        threadpool_limits(1, "blas"),
        tqdm(total=total, desc="comparing", unit="image", disable=None, leave=False) as progress,
    ):
        # Each block is a piece of work of its own.
        for result in threads.ordered(compare, _blocks(splits), lambda _: threads.MOST_BYTES, 0):
            found.append(result)
            progress.update(len(result[0]))
    columns = map(np.concatenate, zip(*found, strict=True))
    names = ("image", "closest", "similarity", "mirrored")
    pairs = pd.DataFrame(dict(zip(names, columns, strict=True)))
    pairs["near_duplicate"] = pairs["similarity"] >= NEAR
    return pairs.sort_values(["similarity", "image"], ascending=[False, True], ignore_index=True)


def _blocks(splits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of held-out images, and the rows of the images to compare them with."""
    for split, others in COMPARED_WITH.items():
        held_out, training = (
            np.flatnonzero(splits == split),
            np.flatnonzero(np.isin(splits, others)),
        )
        for start in range(0, len(held_out), ROWS):
            yield held_out[start : start + ROWS], training


class Edges(NamedTuple):
    """The Laplacians of thumbnails.

    Args:
        thumbnails: uint8 (n, 12, 12).
        lengths: of the Laplacians, float64 (n,), 1 instead of 0.
        scaled: halves of the Laplacians over their lengths, float32 (n, 2, 50), so that products
            are correlations.
    """

    thumbnails: np.ndarray
    lengths: np.ndarray
    scaled: np.ndarray


def _most_similar(
    edges: Edges, image: np.ndarray, training: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most similar training image of each image: its row, the correlation, whether mirrored."""
    best = np.full(len(image), -np.inf)
    closest, mirrored = np.zeros(len(image), np.int64), np.zeros(len(image), bool)
    even, odd = np.moveaxis(edges.scaled[image], 1, 0)
    # New memory for each product would take longer than the product.
    products = np.empty((2, len(image), COLUMNS), np.float32)
    for start in range(0, len(training), COLUMNS):
        other = training[start : start + COLUMNS]
        other_even, other_odd = np.moveaxis(edges.scaled[other], 1, 0)
        product, odds = products[:, :, : len(other)]
        np.matmul(even, other_even.T, out=product)
        np.matmul(odd, other_odd.T, out=odds)
        product += np.abs(odds, out=odds)
        least = best - ERROR
        rows = np.flatnonzero(product.max(axis=1) > least)
        if len(rows):
            other = other[(product[rows] > least[rows, None]).any(axis=0)]
            column, found, is_mirrored = _exactly(edges, image[rows], other)
            better = found > best[rows]
            rows, column = rows[better], column[better]
            best[rows], closest[rows] = found[better], other[column]
            mirrored[rows] = is_mirrored[better]
    return closest, best, mirrored


def _exactly(
    edges: Edges, image: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most similar of the other images: its position, the correlation, whether mirrored."""
    even, odd = np.moveaxis(_halves(edges.thumbnails[image]), 1, 0)
    other_even, other_odd = np.moveaxis(_halves(edges.thumbnails[other]), 1, 0)
    # Twice the product of two images is even + odd, and even - odd with one of them mirrored.
    product, odds = even @ other_even.T, odd @ other_odd.T
    is_mirrored = odds < 0
    product += np.abs(odds, out=odds)
    column, rows = (product / edges.lengths[other]).argmax(axis=1), np.arange(len(image))
    found = product[rows, column] / edges.lengths[other[column]]
    return column, found / (2 * edges.lengths[image]), is_mirrored[rows, column]


def _edges(thumbnails: np.ndarray) -> Edges:
    lengths = np.empty(len(thumbnails))
    scaled = np.empty((len(thumbnails), *_halves(thumbnails[:1]).shape[1:]), np.float32)
    for start in range(0, len(thumbnails), ROWS):
        part = slice(start, start + ROWS)
        halves = _halves(thumbnails[part])
        length = np.sqrt((halves**2).sum(axis=(1, 2)) / 2)
        lengths[part] = np.where(length == 0, 1.0, length)
        scaled[part] = halves / (math.sqrt(2) * lengths[part, None, None])
    return Edges(thumbnails, lengths, scaled)


def _halves(thumbnails: np.ndarray) -> np.ndarray:
    """Centred Laplacians, split into what mirroring keeps and what it negates.

    These are the sum of and the difference between a pixel and its mirror image: integers as
    float64 (n, 2, 50).
    """
    gray = thumbnails.astype(np.int32)
    inner = 4 * gray[:, 1:-1, 1:-1]
    inner -= gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    size = inner[0].size
    centred = size * inner - inner.sum(axis=(1, 2), keepdims=True)
    left, right = np.split(centred, 2, axis=2)
    right = right[:, :, ::-1]
    halves = np.stack([left + right, left - right], axis=1)
    return halves.reshape(len(gray), 2, -1).astype(np.float64)
