"""Near-duplicates of the held-out images in training, found by their pixels alone.

Every image becomes a 12x12 thumbnail. Only its edges are compared (its discrete Laplacian), plain
and mirrored, by their correlation. What file names state is in `audit`.

Agreement with names, split 80/20 over single images, near-duplicate from 0.93:

| images | own sequence in training | near-duplicate there | precision | recall |
| --- | --- | --- | --- | --- |
| CK+, seeds 1 to 5 | 96.6% | 95.7% | 100% | 99.1% |
| drawn faces of 300 people, seeds 1 and 2 | 96.3% | 96.3% | 100% | 100% |
| drawn faces of 999 people, seed 1 | 95.8% | 95.9% | 99.9% | 100% |

Split by subject, no image of CK+ has one (the most similar pair of two people has 0.912), and 0.3%
of the drawn faces of 999 people do. Gray values instead of edges agree less.

The correlation is computed from integers below 2**53. It is exact up to the last division, so it
is the same on any processor and for any order of the sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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
# Held-out split -> the splits that count as its training: val selects, and a solved head is refit
# on it.
TRAINING = {"val": ("train",), "test": ("train", "val")}
# Correlations in memory at a time, so that memory does not grow with the square of the images.
BLOCK = 4_000_000
CONFLICTS = CACHE / "conflicts.csv"


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of n images.

    Args:
        digests: of the decoded pixels (n); equal for the same image in another file format.
        thumbnails: uint8 (n, SIDE, SIDE), gray.
    """

    digests: list[str]
    thumbnails: np.ndarray


def fingerprints(archive_path: Path, paths: Sequence[str]) -> Fingerprints:
    """Compute the fingerprints of every image of the canonical archive.

    Raises:
        PipelineError: the archive does not contain exactly `paths`, in this order.
    """
    digests, thumbnails = [], []
    source = archive.read_images(archive_path)
    progress = tqdm(
        source, total=len(paths), desc="fingerprints", unit="image", disable=None, leave=False
    )
    for number, (path, data) in enumerate(progress):
        if number >= len(paths) or path != paths[number]:
            raise PipelineError(
                f"{INDEX} and {archive_path} differ at {path}; run `dvc repro --force`"
            )
        image = images.decode(data)
        pixels = repr(image.size).encode() + image.convert("RGB").tobytes()
        digests.append(hashlib.sha256(pixels).hexdigest())
        thumbnails.append(images.square(image, SIDE, "grayscale")[:, :, 0])
    if len(digests) != len(paths):
        raise PipelineError(
            f"{INDEX} lists {len(paths)} images, {archive_path} contains {len(digests)}; "
            "run `dvc repro --force`"
        )
    return Fingerprints(digests, np.stack(thumbnails))


def repeats(paths: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Find images that occur more than once.

    Args:
        paths: `<label>/<file>` of each image.
        digests: of their pixels.

    Returns:
        Path of each image that repeats an earlier one -> path of the first with its pixels.

    Raises:
        PipelineError: two of them have different labels.
    """
    table = pd.DataFrame({"path": paths, "same_image_as": paths, "digest": digests})
    table["same_image_as"] = table.groupby("digest")["path"].transform("first")
    table = table.loc[table["path"] != table["same_image_as"], ["path", "same_image_as"]]
    labels = table.apply(lambda column: column.str.partition("/")[0])
    conflicts = table[labels["path"] != labels["same_image_as"]]
    if len(conflicts):
        write_table(CONFLICTS, conflicts)
        path, other = conflicts.iloc[0]
        more = f"; {len(conflicts)} such pairs are in {CONFLICTS}" if len(conflicts) > 1 else ""
        raise PipelineError(
            f"{other} and {path} are the same image with different labels; remove at least one "
            f"of them from the source{more}"
        )
    return dict(table.itertuples(index=False))


def closest(thumbnails: np.ndarray, splits: Sequence[str]) -> pd.DataFrame:
    """Find the training image that is most similar to each held-out image.

    Args:
        thumbnails: uint8 (n, SIDE, SIDE), as `fingerprints` gives them.
        splits: the split of each image.

    Returns:
        A row an image of val and test, the most similar first, then in the order of the images:
        `image` and `closest` are indices, of several equally similar ones the first; `similarity`
        is the correlation of their edges, -1..1, and 0 if an image has none; `mirrored` whether
        one of them was mirrored; `near_duplicate` whether the similarity is NEAR or more.
    """
    names = np.asarray(splits)
    blocks: list[pd.DataFrame] = []
    total = int((names != "train").sum())
    with tqdm(total=total, desc="comparing", unit="image", disable=None, leave=False) as bar:
        for name, earlier in TRAINING.items():
            held_out = np.flatnonzero(names == name)
            training = np.flatnonzero(np.isin(names, earlier))
            edges = _edges(thumbnails[training])
            step = max(1, BLOCK // len(training))
            for start in range(0, len(held_out), step):
                indices = held_out[start : start + step]
                blocks.append(_closest(thumbnails[indices], indices, training, *edges))
                bar.update(len(indices))
    pairs = pd.concat(blocks).sort_values(["similarity", "image"], ascending=[False, True])
    return pairs.assign(near_duplicate=pairs["similarity"] >= NEAR).reset_index(drop=True)


def _closest(
    thumbnails: np.ndarray,
    held_out: np.ndarray,
    training: np.ndarray,
    edges: np.ndarray,
    norms: np.ndarray,
) -> pd.DataFrame:
    """The rows of `closest` for the thumbnails of some held-out images.

    Args:
        thumbnails: uint8 (m, SIDE, SIDE), of the held-out images.
        held_out: their indices (m).
        training: indices of the training images (t).
        edges: of the training images (t, 100), with their norms (t), as `_edges` gives them.
        norms: see above.
    """
    own, own_norms = _edges(thumbnails)
    plain = own @ edges.T
    mirrored = _edges(thumbnails[:, :, ::-1])[0] @ edges.T
    nearest = (np.maximum(plain, mirrored) / norms).argmax(axis=1)
    at = np.arange(len(held_out)), nearest
    return pd.DataFrame(
        {
            "image": held_out,
            "closest": training[nearest],
            "similarity": np.maximum(plain[at], mirrored[at]) / norms[nearest] / own_norms,
            "mirrored": mirrored[at] > plain[at],
        }
    )


def _edges(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers as float64 (n, 100) whose products are the covariances of Laplacians; their norms.

    A norm of 0 is replaced by 1.
    """
    gray = thumbnails.astype(np.int64)
    inner = 4 * gray[:, 1:-1, 1:-1]
    inner -= gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    flat = inner.reshape(len(gray), -1)
    centred = flat.shape[1] * flat - flat.sum(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1).astype(np.float64))
    norms[norms == 0] = 1.0
    return centred.astype(np.float64), norms
