"""What framing is worth: the class of training faces that are pasted into larger pictures.

Each face of the train split is turned by up to 20 degrees, scaled 0.5 to 8 times and pasted on a
plain or noisy background, then found and cropped again. It counts how often the model says the same
class as of the training image. Run it after `dvc repro`; `--records` and `--model` take others.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import report
import table
import workers
from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import records
from ferpipe.faces import detection, framing
from ferpipe.params.download import Download
from ferpipe.params.reader import read_section
from ferpipe.sources.sample import framing as sample
from ferpipe.sources.sample import people

ANGLE, SCALES = 20.0, (0.5, 8.0)
LARGER = 2.5  # side of the larger pictures, in sides of the face
SMALLEST, CONFIDENCE = 14, 0.7  # of faces that count as found
COUNT = 300
BANDS = (0.5, 1.0, 2.0, 4.0, 8.0)
HEADER = ("scale", "faces", "found", "framed", "detector's box", "framed, known landmarks")


class Pasted(NamedTuple):
    """A face in a larger picture: what was done to it, and the picture."""

    picture: Image.Image
    scale: float
    turn: complex
    shift: complex

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Where points (n, 2) of the image are in the picture, both in pixels."""
        z = (points[:, 0] + 1j * points[:, 1]) * self.turn + self.shift
        return np.stack([z.real, z.imag], axis=1)


def paste(image: np.ndarray, rng: np.random.Generator) -> Pasted:
    """Paste a training image, uint8 (side, side, channels), at random into a larger picture."""
    side, _, channels = image.shape
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    angle = np.deg2rad(rng.uniform(-ANGLE, ANGLE))
    large = max(1, round(side * scale))
    face = Image.fromarray(image.squeeze(-1) if channels == 1 else image)
    face = face.resize((large, large), Image.Resampling.BICUBIC)
    room = round(LARGER * large)
    shape = (room, room, channels)
    ground = np.full(shape, rng.integers(256), np.uint8)
    if rng.integers(2):
        ground = rng.integers(0, 256, shape, dtype=np.uint8)
    ground = Image.fromarray(ground.squeeze(-1) if channels == 1 else ground)
    # Pillow asks for the way back, from the picture to the face.
    middle = complex(*rng.uniform(0.75 * large, room - 0.75 * large, 2))
    turn = np.exp(1j * angle)
    start = large / 2 * (1 + 1j) - middle / turn
    affine = ((1 / turn).real, -(1 / turn).imag, start.real)
    affine += ((1 / turn).imag, (1 / turn).real, start.imag)
    turned, mask = (
        layer.transform(ground.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
        for layer in (face, Image.new("L", face.size, 255))
    )
    ground.paste(turned, mask=mask)
    factor = large / side * turn
    return Pasted(ground, large / side, factor, middle - factor * side / 2 * (1 + 1j))


def rows(scales: np.ndarray, same: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """The table's rows, by scale and of all.

    Args:
        scales: of each face.
        same: for each column, whether a face was found or has the same class, bool (n,).
    """
    made = []
    for low, high in (*itertools.pairwise(BANDS), (0, np.inf)):
        here = (low <= scales) & (scales < high)
        name = f"{low:g} to {high:g}" if low else "all"
        shares = [f"{same[column][here].mean():.1%}" for column in HEADER[2:] if column in same]
        made.append((name, str(here.sum()), *shares))
    return made


def surest(faces: Sequence[detection.Face]) -> detection.Face | None:
    """The face with the highest confidence, if there is one."""
    return max(faces, key=lambda face: face.confidence, default=None)


def compare(
    images: np.ndarray, known: np.ndarray | None, frame: np.ndarray, predict: Callable, color: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Paste, find and crop all images.

    Args:
        images: uint8 (n, side, side, channels).
        known: float64 (n, 5, 2), the landmarks of each image in pixels, if they are known.
        frame: the framing.
        predict: class of each image.
        color: as `framing.crop` takes it.

    Returns:
        The scales, and for each column whether a face was found or has the same class.
    """
    rng, side = np.random.default_rng(1), images.shape[1]
    pasted = [paste(image, rng) for image in images]
    found = [surest(detection.detect(one.picture, SMALLEST, CONFIDENCE)) for one in pasted]
    nothing = np.zeros_like(images[0])
    crops = {
        "framed": [
            framing.crop(one.picture, face.landmarks, frame, side, color) if face else nothing
            for one, face in zip(pasted, found, strict=True)
        ],
        "detector's box": [
            framing.box_crop(one.picture, face.box, side, color) if face else nothing
            for one, face in zip(pasted, found, strict=True)
        ],
    }
    if known is not None:
        crops["framed, known landmarks"] = [
            framing.crop(one.picture, one.moved(points), frame, side, color)
            for one, points in zip(pasted, known, strict=True)
        ]
    directly, is_found = predict(images), np.array([face is not None for face in found])
    same = {name: predict(np.stack(cropped)) == directly for name, cropped in crops.items()}
    for name in ("framed", "detector's box"):
        same[name] &= is_found
    return np.array([one.scale for one in pasted]), {"found": is_found, **same}


def known_landmarks(names: Sequence[str], seed: int) -> np.ndarray:
    """The landmarks of images of the sample, in pixels: float64 (n, 5, 2)."""
    found = {}
    for subject in sorted({int(Path(name).name[1:4]) for name in names}):
        points, files = sample.landmarks(seed, subject), people.file_names(seed, subject)
        for label, frames, frame_names in zip(people.PROTOTYPES, points, files, strict=True):
            keys = [f"{label}/{name}" for name in frame_names]
            found |= dict(zip(keys, frames, strict=True))
    return np.stack([found[name] for name in names])


def frame_and_known(train: records.Dataset, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The framing of the images, and their landmarks if they are the sample's."""
    download = read_section(paths.PARAMS, "download", Download)
    if download.source == "sample" and folder == paths.RECORDS:
        return sample.FRAMING, known_landmarks(train.paths, download.sample.seed)
    frame = framing.measure(train.images)
    if frame is None:
        raise PipelineError(f"{folder}: no face is found in most images of train")
    return frame, None


@exits_cleanly("framing")
def main() -> None:
    """Paste the faces, crop them in each way, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=Path, default=paths.RECORDS, help="as preprocess writes")
    parser.add_argument("--model", type=Path, default=paths.MODEL, help="trained on them")
    parser.add_argument("--count", type=int, default=COUNT, help="images of train, evenly spaced")
    args = parser.parse_args()
    schema = records.read_schema(args.records)
    train = records.read_split(args.records, schema, "train")
    train = train.take(np.unique(np.linspace(0, len(train.labels) - 1, args.count, dtype=int)))
    noise = report.others()

    from ferpipe.model import saving  # TensorFlow takes seconds to import

    model = saving.load(args.model, train.images.shape[1:], schema.classes)
    frame, known = frame_and_known(train, args.records)
    scales, same = compare(
        train.images,
        known,
        frame,
        predict=lambda images: saving.predict(model, images, batch_size=64).argmax(axis=1),
        color="grayscale" if schema.channels == 1 else "rgb",
    )
    found = {name: values[same["found"]].mean() for name, values in same.items()}
    parts = [
        *noise,
        f"{len(scales)} faces of train, turned by up to {ANGLE:g} degrees, on a plain or noisy "
        "background: how many are found, and how\nmany get the class of the training image; a face "
        "that is not found does not.\n",
        table.markdown(HEADER[: 2 + len(same)], rows(scales, same)),
        f"Of the faces found, {found[HEADER[3]]:.1%} get their class if framed, and "
        f"{found[HEADER[4]]:.1%} by the detector's box.\n",
    ]
    is_default = (args.records, args.model) == (paths.RECORDS, paths.MODEL)
    report.publish("framing", "What framing is worth", workers.versions(), parts, keep=is_default)


if __name__ == "__main__":
    main()
