"""From pictures to predictions: faces are found, framed as in training, and classified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.evaluation.card import Card, read_card
from ferpipe.evaluation.feature_network import FeatureNetwork
from ferpipe.faces import detection, framing
from ferpipe.faces.detection import Face
from ferpipe.model import saving
from ferpipe.model.backend import keras, prepare
from ferpipe.prediction import on_disk

# A file, an image of Pillow, or uint8 (height, width), (height, width, 1) or (height, width, 3).
Picture = str | Path | Image.Image | np.ndarray
# Here nothing depends on single pixels, so whatever can be converted is.
CONVERSIONS = images.Conversions(background="white", cmyk=True, deep=True, frames=True)
UNSURE = "unsure"
UNFAMILIAR = "unlike training"
BATCH_SIZE = 64  # faces that the network sees at a time
PICTURES = 16  # that are held in memory at a time


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


@dataclass(frozen=True)
class Predictor:
    """A model and how it is used.

    Example:
        >>> predictor = Predictor.load("models/model.keras")
        >>> [[prediction.label for prediction in faces] for faces in predictor(["photo.jpg"])]
    """

    model: keras.Model
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

    @classmethod
    def load(cls, path: str | Path = "models/model.keras", **settings: object) -> Predictor:
        """Load a model file that `dvc repro` wrote; settings are the fields above.

        Raises:
            PipelineError: the file is missing or damaged, or has no card.
        """
        path = Path(path)
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

    def stream(
        self, pictures: Iterable[Picture]
    ) -> Iterator[tuple[Picture, list[Prediction] | PipelineError]]:
        """Yield each picture with its predictions, or with the error that says why it has none.

        An error of the iterable itself is raised after the results of what came before.
        """
        held, crops = [], []
        try:
            for picture in pictures:
                try:
                    faces, found = self.faces(opened(picture))
                except PipelineError as error:
                    held.append((picture, error))
                else:
                    held.append((picture, faces))
                    crops += found
                if len(crops) >= BATCH_SIZE or len(held) >= PICTURES:
                    yield from self._classified(held, crops)
                    held, crops = [], []
        except PipelineError:
            yield from self._classified(held, crops)
            raise
        yield from self._classified(held, crops)

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

    def _classified(
        self, held: Sequence[tuple[Picture, list[Face | None] | PipelineError]], crops: np.ndarray
    ) -> Iterator[tuple[Picture, list[Prediction] | PipelineError]]:
        """Classify all faces of the pictures at once."""
        rows = zip(crops, *(self.classify(np.stack(crops)) if crops else ((), ())), strict=True)
        for picture, faces in held:
            if isinstance(faces, PipelineError):
                yield picture, faces
            else:
                yield picture, [self._prediction(face, *next(rows)) for face in faces]

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
        batch_size = min(BATCH_SIZE, len(faces))
        if self.network is None:
            probabilities = saving.predict(self.model, faces, batch_size).astype(np.float64)
            return probabilities, [None] * len(faces)
        probabilities, projected = self.network(faces, batch_size)
        return probabilities, self.card.feature_distance.relative(projected).tolist()


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
