"""Near-duplicates between training and held-out images, from their pixels alone.

Two images are near-duplicates if the edges (discrete Laplacian) of their 12x12 thumbnails, one of
them mirrored or not, correlate by 0.93 or more. On 80/20 splits of single images (seeds 1 to 5),
they agree with the sequences in file names: precision 100%, recall 99.1% on CK+ and 93.7% on drawn
faces, whose frames differ more. Splits by subject have none on CK+ (highest correlation: 0.912) and
none on 999 drawn people. Gray values agree less than edges.

Correlations come from integers below 2**53, so they are exact up to the last division and the same
on any processor, whatever the order of the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CACHE, INDEX
from ferpipe.core.tables import write_table
from ferpipe.data import archive, images

SIDE = 12
NEAR = 0.93
# The splits that each held-out split is compared with.
COMPARED_WITH = {"val": ("train",), "test": ("train", "val")}
# Held-out and training images that are compared at a time: bounds the memory.
ROWS, COLUMNS = 512, 2048
CONFLICTS = CACHE / "conflicts.csv"


def fingerprints(archive_path: Path, paths: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Compute the fingerprints of the images `paths`, in the archive's order.

    Returns:
        Digests of the decoded pixels, equal for the same image in another file format; gray
        thumbnails, uint8 (n, SIDE, SIDE).

    Raises:
        PipelineError: the archive contains other images.
    """
    digests, thumbnails = [], []
    members = archive.read_listed(archive_path, paths, INDEX)
    for data in tqdm(
        members, "fingerprints", total=len(paths), unit="image", disable=None, leave=False
    ):
        image = images.decode(data)
        digests.append(images.pixel_digest(image))
        thumbnails.append(images.square(image, SIDE, "grayscale")[:, :, 0])
    return digests, np.stack(thumbnails)


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
        thumbnails: uint8 (n, SIDE, SIDE), see `fingerprints`.
        splits: the split of each image (n).

    Returns:
        Row positions `image` (held out) and `closest` (the first of equally close ones), their
        `similarity` (correlation, -1..1; 0 without edges), `mirrored` and `near_duplicate`; sorted
        by descending similarity, then `image`.
    """
    splits = np.asarray(splits)
    edges, lengths = _edges(thumbnails)
    mirrored_edges, _ = _edges(thumbnails[:, :, ::-1])
    blocks = []
    total = int((splits != "train").sum())
    with tqdm(total=total, desc="comparing", unit="image", disable=None, leave=False) as progress:
        for split, others in COMPARED_WITH.items():
            held_out = np.flatnonzero(splits == split)
            training = np.flatnonzero(np.isin(splits, others))
            for start in range(0, len(held_out), ROWS):
                image = held_out[start : start + ROWS]
                found = _most_similar(edges, mirrored_edges, lengths, image, training)
                blocks.append((image, *found))
                progress.update(len(image))
    columns = map(np.concatenate, zip(*blocks, strict=True))
    names = ("image", "closest", "similarity", "mirrored")
    pairs = pd.DataFrame(dict(zip(names, columns, strict=True)))
    pairs["near_duplicate"] = pairs["similarity"] >= NEAR
    return pairs.sort_values(["similarity", "image"], ascending=[False, True], ignore_index=True)


def _most_similar(
    edges: np.ndarray,
    mirrored_edges: np.ndarray,
    lengths: np.ndarray,
    image: np.ndarray,
    training: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most similar training image of each image: its row, the correlation, whether mirrored."""
    rows = np.arange(len(image))
    best = np.full(len(image), -np.inf)
    closest, mirrored = np.zeros(len(image), np.int64), np.zeros(len(image), bool)
    for start in range(0, len(training), COLUMNS):
        other = training[start : start + COLUMNS]
        straight, flipped = edges[image] @ edges[other].T, mirrored_edges[image] @ edges[other].T
        product = np.maximum(straight, flipped)
        column = (product / lengths[other]).argmax(axis=1)
        found = product[rows, column] / lengths[other[column]]
        better = found > best
        best[better], closest[better] = found[better], other[column[better]]
        mirrored[better] = (flipped[rows, column] > straight[rows, column])[better]
    return closest, best / lengths[image], mirrored


def _edges(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred Laplacians, integers as float64 (n, 100), and their lengths (n), 1 instead of 0."""
    gray = thumbnails.astype(np.int32)
    inner = 4 * gray[:, 1:-1, 1:-1]
    inner -= gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    flat = inner.reshape(len(gray), -1)
    centred = (flat.shape[1] * flat - flat.sum(axis=1, keepdims=True)).astype(np.float64)
    lengths = np.sqrt((centred**2).sum(axis=1))
    return centred, np.where(lengths == 0, 1.0, lengths)
