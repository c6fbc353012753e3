"""Near-duplicates between training and held-out images, from their pixels alone.

Two images are near-duplicates if the edges (discrete Laplacian) of their 12x12 thumbnails, one of
them mirrored or not, correlate by 0.93 or more. On 80/20 splits of single images (seeds 1 to 5),
they agree with the sequences in file names: precision 100%, recall 99.1% on CK+ and 93.7% on drawn
faces, whose frames differ more. Splits by subject have none on CK+ (highest correlation: 0.912) and
none on 999 drawn people. Gray values agree less than edges.

A pass in float32 finds the blocks of training images that may hold the closest one. Correlations
with these come from integers below 2**53, so they are exact up to the last division and the same on
any processor, whatever the order of the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ferpipe.core import machine
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CACHE
from ferpipe.core.tables import write_table
from ferpipe.splitting.edges import Edges, edges_of

NEAR = 0.93
# The splits that each held-out split is compared with.
COMPARED_WITH = {"val": ("train",), "test": ("train", "val")}
# Training images of a block, held-out images that are compared with a block at a time (their
# products fit in a core's cache), and held-out images whose blocks are found at a time.
BLOCK, ROWS, CHUNK = 512, 256, 16_384
# Error of a similarity in float32: with u = 2**-24, at most 2u from rounding unit vectors, 50u from
# two dot products of 50 terms (Cauchy-Schwarz: |e||e'| + |o||o'| <= 1) and u from their sum.
BOUND = 64 * 2.0**-24
CONFLICTS = CACHE / "conflicts.csv"


def repeats(paths: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Map each image that repeats an earlier one pixel by pixel to the first with its pixels.

    Raises:
        PipelineError: two of them have different labels.
    """
    images = pd.DataFrame({"path": paths, "digest": digests})
    images = images[images["digest"].duplicated(keep=False)]
    firsts = images.groupby("digest")["path"].transform("first")
    again = images["path"] != firsts
    result = dict(zip(images["path"][again], firsts[again], strict=True))
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
    tasks = []
    for split, others in COMPARED_WITH.items():
        held_out = np.flatnonzero(splits == split)
        training = np.flatnonzero(np.isin(splits, others))
        tasks += [
            (held_out[start : start + CHUNK], training) for start in range(0, len(held_out), CHUNK)
        ]
    total = sum(-(-len(training) // BLOCK) for _, training in tasks)
    # Each thread multiplies for itself: BLAS has one thread in each.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(machine.cores()) as pool,
        tqdm(total=total, desc="comparing", unit="block", disable=None, leave=False) as progress,
    ):
        found = [
            (image, *_most_similar(thumbnails, image, training, pool, progress))
            for image, training in tasks
        ]
    columns = map(np.concatenate, zip(*found, strict=True))
    names = ("image", "closest", "similarity", "mirrored")
    pairs = pd.DataFrame(dict(zip(names, columns, strict=True)))
    pairs["near_duplicate"] = pairs["similarity"] >= NEAR
    return pairs.sort_values(["similarity", "image"], ascending=[False, True], ignore_index=True)


def _most_similar(
    thumbnails: np.ndarray,
    image: np.ndarray,
    training: np.ndarray,
    pool: ThreadPoolExecutor,
    progress: tqdm,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most similar training image of each image: its row, the correlation, whether mirrored."""
    edges = edges_of(thumbnails[image])
    unit = edges.unit()
    blocks = [training[start : start + BLOCK] for start in range(0, len(training), BLOCK)]
    highest = np.empty((len(blocks), len(image)), np.float32)

    def compare(number: int) -> None:
        _block_maxima(edges_of(thumbnails[blocks[number]]).unit(), unit, highest[number])

    for _ in pool.map(compare, range(len(blocks))):
        progress.update()
    likely = highest >= highest.max(axis=0) - 2 * BOUND
    # An image without edges has the same similarity with all: the first is the closest.
    likely[1:, ~(edges.even.any(axis=1) | edges.odd.any(axis=1))] = False
    best = np.full(len(image), -np.inf)
    closest, mirrored = np.zeros(len(image), np.int64), np.zeros(len(image), bool)
    for number in np.flatnonzero(likely.any(axis=1)):
        rows, other = np.flatnonzero(likely[number]), blocks[number]
        column, found, is_mirrored = _exact(edges, rows, edges_of(thumbnails[other]))
        better = found > best[rows]
        rows = rows[better]
        best[rows], closest[rows] = found[better], other[column[better]]
        mirrored[rows] = is_mirrored[better]
    return closest, best / (2 * edges.lengths), mirrored


def _block_maxima(
    block: tuple[np.ndarray, np.ndarray], unit: tuple[np.ndarray, np.ndarray], out: np.ndarray
) -> None:
    """Write the highest similarity of each image (n) with a block, unit vectors, to float32 (n)."""
    for start in range(0, len(out), ROWS):
        here = slice(start, start + ROWS)
        # The product of two images is even + odd, and even - odd with one of them mirrored.
        product, odds = (half @ other[here].T for half, other in zip(block, unit, strict=True))
        product += np.abs(odds, out=odds)
        product.max(axis=0, out=out[here])


def _exact(
    edges: Edges, rows: np.ndarray, others: Edges
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most similar of the others for some rows: its position, twice the product, mirrored."""
    product, odds = edges.even[rows] @ others.even.T, edges.odd[rows] @ others.odd.T
    is_mirrored = odds < 0
    product += np.abs(odds, out=odds)
    product /= others.lengths
    column = product.argmax(axis=1)
    at = np.arange(len(rows)), column
    return column, product[at], is_mirrored[at]
