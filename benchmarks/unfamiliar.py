"""How often faces and other images are flagged as unlike the training images.

Images of the test split as they are, corrupted, and pasted and found again; faces of another data
set (`--other`); and what is no face. Run it after `dvc repro`; `--records` and `--model` take
others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import framing as pasting
import report
import table
import workers
from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import images, records
from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.faces import detection, framing

COUNT = 200  # images of each kind that are no faces
HEADER = ("images", "n", "unlike training", "median distance")


def no_faces(side: int, channels: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield kinds of images without a face, uint8 (COUNT, side, side, channels)."""
    rng, shape = np.random.default_rng(1), (COUNT, side, side, channels)
    yield "noise", rng.integers(0, 256, shape, dtype=np.uint8)
    yield "clouds", _converted((_cloud(rng, side) for _ in range(COUNT)), side, channels)
    yield "gradients", _converted((_gradient(rng, side) for _ in range(COUNT)), side, channels)
    tones = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    yield "plain gray", np.broadcast_to(tones, (256, *shape[1:])).copy()
    photos = load_sample_images().images
    crops = (_crop(rng, photos[number % len(photos)]) for number in range(COUNT))
    yield "crops of photographs (a temple, a flower)", _converted(crops, side, channels)


def _cloud(rng: np.random.Generator, side: int) -> Image.Image:
    coarse = rng.integers(0, 256, (rng.integers(2, 12),) * 2, dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def _gradient(rng: np.random.Generator, side: int) -> Image.Image:
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle, (start, end) = rng.uniform(0, 2 * np.pi), rng.uniform(0, 255, 2)
    share = 0.5 + (np.cos(angle) * x + np.sin(angle) * y) / np.sqrt(2)
    return Image.fromarray((start + (end - start) * share).astype(np.uint8))


def _crop(rng: np.random.Generator, photo: np.ndarray) -> Image.Image:
    size = rng.integers(32, min(photo.shape[:2]))
    top, left = (rng.integers(0, length - size + 1) for length in photo.shape[:2])
    return Image.fromarray(photo[top : top + size, left : left + size])


def _converted(pictures: Iterator[Image.Image], side: int, channels: int) -> np.ndarray:
    color = "grayscale" if channels == 1 else "rgb"
    return np.stack([images.square(picture, side, color) for picture in pictures])


def found_again(faces: np.ndarray, frame: Sequence[tuple[float, float]]) -> np.ndarray:
    """Paste faces into larger pictures, as `framing.py` does, and crop those that are found."""
    rng, side = np.random.default_rng(1), faces.shape[1]
    color = "grayscale" if faces.shape[3] == 1 else "rgb"
    crops = []
    for face in faces:
        picture = pasting.paste(face, rng).picture
        detected = detection.detect(picture, pasting.SMALLEST, pasting.CONFIDENCE)
        surest = pasting.surest(detected)
        if surest:
            crops.append(framing.crop(picture, surest.landmarks, np.array(frame), side, color))
    return np.stack(crops)


def row(name: str, distances: np.ndarray) -> tuple[object, ...]:
    """A row of the table, from distances of which 1 is the limit."""
    return name, len(distances), f"{(distances > 1).mean():.1%}", f"{np.median(distances):.2f}"


@exits_cleanly("unfamiliar")
def main() -> None:
    """Measure the distances of all kinds of images, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=Path, default=paths.RECORDS, help="as preprocess writes")
    parser.add_argument("--model", type=Path, default=paths.MODEL, help="trained on them")
    parser.add_argument("--other", type=Path, help="records of another data set")
    args = parser.parse_args()
    schema = records.read_schema(args.records)
    test = records.read_split(args.records, schema, "test").images
    kinds = [("test", test)]
    if args.other:
        other = records.read_split(args.other, records.read_schema(args.other), "test").images
        if other.shape[1:] != test.shape[1:]:
            raise PipelineError(f"{args.other} has images {other.shape[1:]}, not {test.shape[1:]}")
        kinds.append(("faces of another data set", other))

    from ferpipe.prediction.predictor import Predictor  # TensorFlow takes seconds to import

    predictor = Predictor.load(args.model)
    limit = predictor.card.feature_distance
    if limit is None:
        raise PipelineError(f"{args.model} has no feature distance in its card; run `dvc repro`")
    if predictor.card.framing:
        kinds.append(("test, pasted, found and framed", found_again(test, predictor.card.framing)))
    for each in CORRUPTIONS:
        for number, strength in enumerate(each.strengths, start=1):
            name = f"{each.name}, strength {number} ({strength} {each.unit})"
            kinds.append((name, each.apply(test, strength)))
    kinds += no_faces(schema.image_size, schema.channels)
    rows = [row(name, np.array(predictor.classify(kind)[1])) for name, kind in kinds]
    parts = [
        f"Distance 1 is the limit, measured on {limit.limit_from}.\n",
        table.markdown(HEADER, rows),
    ]
    is_default = (args.records, args.model) == (paths.RECORDS, paths.MODEL)
    report.publish(
        "unfamiliar", "Faces unlike the training images", workers.versions(), parts, keep=is_default
    )


if __name__ == "__main__":
    main()
