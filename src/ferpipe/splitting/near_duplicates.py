"""Near-duplicates of the held-out images in training, found from the pixels alone.

Every image becomes a 12x12 thumbnail of which only the edges are compared (its discrete Laplacian),
as they are or mirrored, by their correlation. What names say of subjects and sequences is in
`audit`.

How that agrees with names that tell the truth, 80/20 over single images, near from 0.93:

| images | own sequence in training | near-duplicate there | precision | recall |
| --- | --- | --- | --- | --- |
| CK+, seeds 1 to 5 | 96.6% | 95.7% | 100% | 99.1% |
| drawn faces of 300 people, seeds 1 and 2 | 96.3% | 96.3% | 100% | 100% |
| drawn faces of 999 people, seed 1 | 95.8% | 95.9% | 99.9% | 100% |

With subjects kept apart, 0% of CK+ have one (the nearest two people come to 0.912), and 0.3% of the
drawn faces of 999 people, who are that much alike. Gray values instead of edges agree less.

Correlation is computed from whole numbers below 2**53, so it is exact up to the last division and
the same on any processor, whatever the order of the sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CACHE, INDEX
from ferpipe.data import archive, images

SIDE = 12
NEAR = 0.93
# What a held-out split must not share: val has chosen, and a solved head has learned from it too.
SEEN = {"val": ("train",), "test": ("train", "val")}
# Correlations held at a time, so that memory does not grow with the square of the images.
BLOCK = 4_000_000
CONFLICTS = CACHE / "conflicts.csv"


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of all images.

    Args:
        digests: of the decoded pixels (n); the same for the same image in another file format.
        thumbnails: uint8 (n, SIDE, SIDE), gray.
    """

    digests: list[str]
    thumbnails: np.ndarray


@dataclass(frozen=True)
class Pair:
    """A held-out image and the one most like it in training.

    Args:
        image: number of the held-out image.
        closest: number of the other; the first of several that are as near.
        similarity: correlation of their edges, -1..1; 0 where one of them has none.
        mirrored: whether it is the mirror image that is so near.
    """

    image: int
    closest: int
    similarity: float
    mirrored: bool

    @property
    def near(self) -> bool:
        """Whether the two are near-duplicates."""
        return self.similarity >= NEAR


def fingerprints(archive_path: Path, paths: Sequence[str]) -> Fingerprints:
    """Compute the fingerprints of every image in one pass.

    Args:
        archive_path: the canonical archive.
        paths: what it should hold, in its order.

    Raises:
        PipelineError: it holds something else.
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
            f"{INDEX} names {len(paths)} images, {archive_path} holds {len(digests)}; "
            "run `dvc repro --force`"
        )
    return Fingerprints(digests, np.stack(thumbnails))


def repeats(paths: Sequence[str], digests: Sequence[str]) -> dict[str, str]:
    """Find the images that are there more than once.

    Args:
        paths: `<label>/<file>` of each image.
        digests: of their pixels, as `fingerprints` gives them.

    Returns:
        For each image that repeats an earlier one, the first that has its pixels.

    Raises:
        PipelineError: two of them have different labels.
    """
    first: dict[str, str] = {}
    found = {
        path: first[digest]
        for path, digest in zip(paths, digests, strict=True)
        if first.setdefault(digest, path) != path
    }
    conflicts = [
        pair for pair in found.items() if pair[0].split("/", 1)[0] != pair[1].split("/", 1)[0]
    ]
    if conflicts:
        files.write_csv(CONFLICTS, ("path", "same_image_as"), conflicts)
        path, other = conflicts[0]
        more = f"; {len(conflicts)} such pairs are in {CONFLICTS}" if len(conflicts) > 1 else ""
        raise PipelineError(
            f"{other} and {path} are the same image with different labels; remove at least one "
            f"of them from the source{more}"
        )
    return found


def closest(thumbnails: np.ndarray, splits: Sequence[str]) -> list[Pair]:
    """Find for each held-out image the one most like it in training.

    Args:
        thumbnails: uint8 (n, SIDE, SIDE), as `fingerprints` gives them.
        splits: the split of each image.

    Returns:
        A pair for each image of val and test, the nearest pair first, ties in the images' order.
    """
    names = np.asarray(splits)
    found: list[Pair] = []
    total = int((names != "train").sum())
    with tqdm(total=total, desc="comparing", unit="image", disable=None, leave=False) as bar:
        for name, earlier in SEEN.items():
            held, seen = np.flatnonzero(names == name), np.flatnonzero(np.isin(names, earlier))
            for block in _closest(thumbnails, held, seen):
                found += block
                bar.update(len(block))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.image))


def _closest(thumbnails: np.ndarray, held: np.ndarray, seen: np.ndarray) -> Iterator[list[Pair]]:
    """The nearest of the images `seen` to each of `held`, a block of them at a time."""
    training, lengths = _edges(thumbnails[seen])
    step = max(1, BLOCK // len(seen))
    for start in range(0, len(held), step):
        numbers = held[start : start + step]
        straight, own_lengths = _edges(thumbnails[numbers])
        plain = straight @ training.T
        mirrored = _edges(thumbnails[numbers, :, ::-1])[0] @ training.T
        nearest = (np.maximum(plain, mirrored) / lengths).argmax(axis=1)
        at = np.arange(len(numbers)), nearest
        products = np.maximum(plain[at], mirrored[at])
        yield [
            Pair(int(number), int(seen[other]), float(similarity), bool(turned))
            for number, other, similarity, turned in zip(
                *(numbers, nearest, products / lengths[nearest] / own_lengths),
                mirrored[at] > plain[at],
                strict=True,
            )
        ]


def _edges(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, float64 (n, 100), whose products are the covariances of Laplacians.

    Returns:
        They and their lengths (n), 1 where all are 0.
    """
    gray = thumbnails.astype(np.int64)
    inner = 4 * gray[:, 1:-1, 1:-1]
    inner -= gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    flat = inner.reshape(len(gray), -1)
    centred = flat.shape[1] * flat - flat.sum(axis=1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=1).astype(np.float64))
    lengths[lengths == 0] = 1.0
    return centred.astype(np.float64), lengths
