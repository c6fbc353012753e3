"""From pictures to predictions: faces are found, framed as in training, and classified."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ferpipe.core import machine, threads
from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.evaluation.card import Card, read_card
from ferpipe.evaluation.feature_network import FeatureNetwork
from ferpipe.faces import detection, framing
from ferpipe.faces.detection import Face
from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare
from ferpipe.prediction import exported, on_disk

# A file, an image of Pillow, or uint8 (height, width), (height, width, 1) or (height, width, 3).
Picture = str | Path | Image.Image | np.ndarray
# Here nothing depends on single pixels, so whatever can be converted is.
CONVERSIONS = images.Conversions(background="white", cmyk=True, deep=True, frames=True)
UNSURE = "unsure"
UNFAMILIAR = "unlike training"
BATCH_SIZE = 64  # faces that the network sees at a time
HELD = 2**26  # bytes of decoded pictures that wait for the network


@dataclass(frozen=True)
class Prediction:
    """A face and what the model says of it."""

    label: str
    """the most probable class, or `unsure`"""
    index: int
    """of the most probable class"""
    probabilities: np.ndarray
    """float64 (classes), in the order of the card"""
    image: np.ndarray
    """uint8 (side, side, channels), what the network saw"""
    face: Face | None
    """where it is in the picture; None if the picture is the face"""
    distance: float | None = None
    """how unlike the training images it is, 1 at the limit; None if the card has no limit"""

    @property
    def probability(self) -> float:
        """Of the most probable class, 0..1."""
        return float(self.probabilities[self.index])

    @property
    def unfamiliar(self) -> bool:
        """Whether it is unlike the training images: its probabilities then say little."""
        return self.distance is not None and self.distance > 1


Held = tuple[Picture, list[Face | None] | PipelineError]
Result = tuple[Picture, list[Prediction] | PipelineError]


@dataclass(frozen=True)
class Predictor:
    """A model and how it is used.

    Example:
        >>> predictor = Predictor.load("models/model.keras")
        >>> [[prediction.label for prediction in faces] for faces in predictor(["photo.jpg"])]
    """

    model: keras.Model | None
    """None for an exported file"""
    card: Card
    cropped: bool = False
    """whether each picture is a face, framed as in training"""
    threshold: float = 0.0
    """a class of a smaller probability is `unsure`"""
    minimum_size: int = 40
    """longer side of the smallest face, in pixels"""
    confidence: float = 0.9
    """of the detector, for the least sure face"""
    network: FeatureNetwork | None = None
    """the model with its features; None if the card has no feature distance"""
    runtime: exported.Predict | None = None
    """what predicts with an exported file"""

    @classmethod
    def load(cls, path: str | Path = "models/model.keras", **settings: object) -> Predictor:
        """Load a model; settings are the fields above.

        Args:
            path: a model file that `dvc repro` wrote, or what `ferpipe export` made of it.
            settings: fields of this class.

        Raises:
            PipelineError: the file is missing or damaged, or has no card.
        """
        path = Path(path)
        if form := exported.form_of(path):
            run, card = exported.load_with_card(path, form, threads=machine.cores())
            return cls(None, card, runtime=run, **settings)
        if path.is_dir():
            raise PipelineError(f"{path} is a folder, and no SavedModel; give a model file")
        card = read_card(path)
        prepare()
        shape = (card.image_size, card.image_size, card.channels)
        model = saving.load(path, shape, card.classes)
        network = FeatureNetwork(model) if card.feature_distance else None
        return cls(model, card, network=network, **settings)

    def __call__(self, pictures: Sequence[Picture]) -> list[list[Prediction]]:
        """The predictions of the faces of each picture, from left to right.

        Raises:
            PipelineError: a file is missing or no image that can be read.
        """
        results = []
        for _, result in self.stream(pictures):
            if isinstance(result, PipelineError):
                raise result
            results.append(result)
        return results

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Result]:
        """Yield each picture with its predictions, or with the error that says why it has none.

        An error of the iterable itself is raised after the results of what came before.
        """
        fault = None

        def given() -> Iterator[Picture]:
            nonlocal fault
            try:
                yield from pictures
            except PipelineError as error:
                fault = error

        # The network works on a batch while the next one is prepared.
        batches = self._batches(given())
        with closing(threads.ahead(lambda batch: self._classified(*batch), batches, 1)) as results:
            for of_batch in results:
                yield from of_batch
        if fault:
            raise fault

    def _batches(
        self, pictures: Iterable[Picture]
    ) -> Iterator[tuple[list[Held], list[np.ndarray]]]:
        """Pictures with their faces, as many as the network sees at a time, and all crops."""
        held, crops, size = [], [], 0
        for picture, faces, found in threads.ordered(self._prepared, pictures, _bytes, workers=0):
            held.append((picture, faces))
            crops += found
            size += 0 if isinstance(picture, (str, Path)) else _bytes(picture)
            if max(len(crops), len(held)) >= BATCH_SIZE or size >= HELD:
                yield held, crops
                held, crops, size = [], [], 0
        if held:
            yield held, crops

    def _prepared(
        self, picture: Picture
    ) -> tuple[Picture, list[Face | None] | PipelineError, list[np.ndarray]]:
        """A picture with its faces, or the error that says why it has none, and their crops."""
        try:
            return picture, *self.faces(opened(picture))
        except PipelineError as error:
            return picture, error, []

    def faces(self, picture: Image.Image) -> tuple[list[Face | None], list[np.ndarray]]:
        """The faces of a picture, and uint8 (side, side, channels) of each, framed."""
        size, color = self.card.image_size, "grayscale" if self.card.channels == 1 else "rgb"
        if self.cropped:
            return [None], [images.square(picture, size, color)]
        faces = detection.detect(picture, self.minimum_size, self.confidence)
        if self.card.framing is None:
            return faces, [framing.box_crop(picture, face.box, size, color) for face in faces]
        framed = np.array(self.card.framing)
        crops = [framing.crop(picture, face.landmarks, framed, size, color) for face in faces]
        return faces, crops

    def _classified(self, held: Sequence[Held], crops: Sequence[np.ndarray]) -> list[Result]:
        """Classify all faces of the pictures at once."""
        rows = zip(crops, *(self.classify(np.stack(crops)) if crops else ((), ())), strict=True)
        results = []
        for picture, faces in held:
            if not isinstance(faces, PipelineError):
                faces = [self._prediction(face, *next(rows)) for face in faces]
            results.append((picture, faces))
        return results

    def _prediction(
        self,
        face: Face | None,
        image: np.ndarray,
        probabilities: np.ndarray,
        distance: float | None,
    ) -> Prediction:
        index = int(probabilities.argmax())
        sure = probabilities[index] >= self.threshold
        label = self.card.classes[index] if sure else UNSURE
        return Prediction(label, index, probabilities, image, face, distance)

    def classify(self, faces: np.ndarray) -> tuple[np.ndarray, list[float | None]]:
        """Float64 (n, classes), and distances, of framed faces: uint8 (n, side, side, channels)."""
        if self.runtime:
            probabilities = exported.predict(self.runtime, faces).astype(np.float64)
            return probabilities, [None] * len(faces)
        batch_size = min(BATCH_SIZE, len(faces))
        if self.network is None:
            probabilities = saving.predict(self.model, faces, batch_size).astype(np.float64)
            return probabilities, [None] * len(faces)
        probabilities, projected = self.network(faces, batch_size)
        return probabilities, self.card.feature_distance.relative(projected).tolist()


def _bytes(picture: Picture) -> int:
    """Bytes of a file or of pixels; 0 if there are none."""
    if isinstance(picture, (str, Path)):
        try:
            return os.path.getsize(picture)  # noqa: PTH202 (faster, of many small files)
        except OSError:
            return 0
    if isinstance(picture, Image.Image):
        return picture.width * picture.height * len(picture.getbands())
    return np.asarray(picture).nbytes


def opened(picture: Picture) -> Image.Image:
    """The picture, upright, of mode "L" or "RGB".

    Raises:
        PipelineError: a file is missing, or the picture is none that can be read.
    """
    if isinstance(picture, (str, Path)):
        try:
            return images.convert(on_disk.read(picture), CONVERSIONS)[0]
        except images.ImageRefused as reason:
            raise PipelineError(f"{picture} cannot be used: {reason}") from None
    if isinstance(picture, Image.Image):
        return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    pixels = np.asarray(picture)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise PipelineError(
            f"an array should be uint8 (height, width) or (height, width, 3), not {pixels.dtype} "
            f"{pixels.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
