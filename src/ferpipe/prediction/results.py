"""What comes of pictures and videos: rows, lines for the terminal, annotated copies."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.evaluation import gradcam
from ferpipe.prediction import annotate, outputs, timeline, videos
from ferpipe.prediction.on_disk import plain
from ferpipe.prediction.predictor import UNFAMILIAR, Prediction, Predictor, opened
from ferpipe.prediction.videos import Frame
from ferpipe.report import style
from ferpipe.report.text import percent
from ferpipe.sources.intake.distinct import free_path, key

DPI = 100
MOST = 2  # probabilities in a line
MOST_BYTES = 150  # of a stem: file systems allow 255 for a name, temporary files' as well


class Results:
    """Rows of all faces, lines for the terminal, and the number of files that cannot be used."""

    def __init__(
        self, predictor: Predictor, folder: Path | None, explain: bool, kept: Sequence[Path] = ()
    ) -> None:
        """Start without any.

        Args:
            predictor: finds and classifies the faces.
            folder: where annotated copies go; None: no copies.
            explain: whether to write heat maps, too.
            kept: files that no copy replaces.
        """
        self.rows: list[list[object]] = []
        self.lines: list[tuple[object, ...]] = []
        self.faults = self.without_face = 0
        self._predictor, self._classes = predictor, predictor.card.classes
        self._folder, self._explain = folder, explain
        real = folder.resolve() if folder else None
        self._taken = {key(path.name) for path in kept if path.absolute().parent.resolve() == real}

    def add_fault(self, error: PipelineError) -> None:
        """Name what cannot be used on standard error."""
        self.faults += 1
        tqdm.write(f"ferpipe: {plain(str(error))}", file=sys.stderr)

    def add_pictures(self, paths: Sequence[Path]) -> None:
        """Predict the faces in pictures; one that cannot be used is named on standard error."""
        stream = self._predictor.stream(paths)
        for path, result in _progress(stream, "pictures", len(paths), "picture"):
            if isinstance(result, PipelineError):
                self.add_fault(result)
                continue
            self.rows += outputs.rows(plain(path), result)
            self.lines += self._picture_lines(path, result)
            if self._folder:
                self._annotate(path, result)

    def add_video(self, path: Path, every: int) -> None:
        """Predict the faces in every n-th frame; of a video that breaks off, in those before."""
        try:
            with videos.opened(path) as (rate, count, frames):
                shown = (frame for frame in frames() if frame.number % every == 0)
                progress = _progress(shown, plain(path.name), -(-count // every) or None, "frame")
                self._add_frames(path, progress, rate / every)
        except PipelineError as error:
            self.add_fault(error)

    def _add_frames(self, path: Path, frames: Iterator[Frame], rate: Fraction) -> None:
        seconds, probabilities, labels, unfamiliar, fault = [], [], Counter(), 0, None
        with ExitStack() as stack:
            add: Callable[[Image.Image], None] | None = None
            if self._folder:
                name = self._free(path, ".mp4")
                add = stack.enter_context(videos.written(self._folder / name, rate))
            try:
                for frame, faces in self._predicted(frames):
                    self.rows += outputs.rows(plain(path), faces, frame)
                    first = timeline.largest(faces)
                    labels[first.label if first else "no face found"] += 1
                    unfamiliar += bool(first and first.unfamiliar)
                    seconds.append(frame.seconds)
                    lacking = np.full(len(self._classes), np.nan)
                    probabilities.append(first.probabilities if first else lacking)
                    if add:
                        add(annotate.annotated(frame.picture, faces, self._classes, rows=1))
            except PipelineError as error:
                fault = error
            if not seconds:
                raise fault or PipelineError(f"{path} has no frames")
        if self._folder:
            name = self._free(path, "-timeline.png")
            drawing = timeline.figure(seconds, np.array(probabilities), self._classes)
            style.write_png(drawing, self._folder / name, DPI)
        most = ", ".join(f"{label} {count}" for label, count in labels.most_common())
        most += f"; {unfamiliar} {UNFAMILIAR}" if unfamiliar else ""
        frames = "1 frame" if len(seconds) == 1 else f"{len(seconds)} frames"
        self.lines.append((plain(path), "", frames, most))
        if fault:
            raise fault

    def _predicted(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, list[Prediction]]]:
        waiting: deque[Frame] = deque()

        def pictures() -> Iterator[Image.Image]:
            for frame in frames:
                waiting.append(frame)
                yield frame.picture

        for _, faces in self._predictor.stream(pictures()):
            yield waiting.popleft(), faces

    def _picture_lines(
        self, path: Path, faces: Sequence[Prediction]
    ) -> Iterator[tuple[object, ...]]:
        for number, face in enumerate(faces, start=1):
            order = np.argsort(-face.probabilities, kind="stable")[:MOST]
            most = (f"{self._classes[i]} {percent(face.probabilities[i])}" for i in order)
            label = f"{face.label}, {UNFAMILIAR}" if face.unfamiliar else face.label
            yield plain(path), number, label, ", ".join(most)
        if not faces:
            self.without_face += 1
            yield plain(path), "", "no face found", ""

    def _annotate(self, path: Path, faces: Sequence[Prediction]) -> None:
        """Write the annotated picture, and each face with its heat map."""
        name = self._free(path, ".png")
        self._write(name, annotate.annotated(opened(path), faces, self._classes))
        if not (self._explain and faces):
            return
        images = np.stack([face.image for face in faces])
        heat_maps = gradcam.heat_maps(
            self._predictor.model, images, np.array([face.index for face in faces])
        )
        for number, (face, heat) in enumerate(zip(faces, heat_maps, strict=True), start=1):
            face_name = self._free(name, f"-face{number}.png")
            self._write(face_name, annotate.explained(face, heat))

    def _free(self, path: Path, end: str) -> Path:
        """A name in the folder, after that of a file; long names are cut."""
        stem = plain(path.stem).encode()[:MOST_BYTES].decode(errors="ignore")
        return Path(free_path(f"{stem}{end}", self._taken))

    def _write(self, name: Path, image: Image.Image) -> None:
        with files.replacing(self._folder / name) as file:
            image.save(file, format="PNG")


def _progress(items: Iterator, name: str, total: int | None, unit: str) -> Iterator:
    return tqdm(items, name, total, unit=unit, disable=None, leave=False)
