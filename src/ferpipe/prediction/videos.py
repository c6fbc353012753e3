"""Videos: their frames, one at a time, and annotated copies of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from PIL import Image

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.prediction import on_disk

SUFFIXES = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv"),
        *(".3gp", ".ts", ".flv"),
    }
)
LATE = 1.0  # seconds by which the last frame may end before the declared end
TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}


class Frame(NamedTuple):
    """A frame: its number from 0, its time in seconds, and its picture."""

    number: int
    seconds: float
    picture: Image.Image


def is_video(path: Path) -> bool:
    """Whether the name is that of a video."""
    return path.suffix.lower() in SUFFIXES


def video_library() -> ModuleType:
    """PyAV, an optional package."""
    try:
        import av
    except ModuleNotFoundError:
        raise PipelineError(
            'videos need the package av: `.venv/bin/pip install ".[predict]"`'
        ) from None
    return av


@contextmanager
def opened(path: Path) -> Iterator[tuple[Fraction, int, Callable[[], Iterator[Frame]]]]:
    """Open a video.

    Yields:
        Frames a second; the number of frames, 0 if it is not known; a function that reads them.

    Raises:
        PipelineError: the file is no video that can be read. The function raises it after the
            frames that can be read if the video breaks off.
    """
    av = video_library()
    on_disk.check(path)
    try:
        container = av.open(f"file:{path}")  # a plain path may be read as an address
    except (av.error.FFmpegError, OSError) as error:
        raise PipelineError(
            f"{path} cannot be read: {error.strerror}; it is no video, or its end is missing"
        ) from None
    with container:
        if not container.streams.video:
            raise PipelineError(f"{path} has no video in it")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = stream.average_rate or Fraction(25)
        yield rate, stream.frames, functools.partial(_frames, path, container, stream)


def _frames(path: Path, container: object, stream: object) -> Iterator[Frame]:
    av = video_library()
    number, seconds = -1, 0.0
    try:
        for number, frame in enumerate(container.decode(stream)):
            seconds = float(frame.time or 0.0)
            picture = frame.to_image()
            turn = TURNS.get(frame.rotation)
            yield Frame(number, seconds, picture.transpose(turn) if turn else picture)
    except av.error.FFmpegError as error:
        raise PipelineError(f"{path} breaks off {_after(number)}: {error.strerror}") from None
    declared = (container.duration or 0) / av.time_base
    if number + 1 < stream.frames or seconds + LATE < declared:
        raise PipelineError(f"{path} breaks off {_after(number)}: it should have {declared:.1f} s")


def _after(number: int) -> str:
    return f"after {number + 1} frames"


@contextmanager
def written(path: Path, rate: Fraction) -> Iterator[Callable[[Image.Image], None]]:
    """Write an MP4 (H.264), of the size of the first picture; yields what adds a picture."""
    av = video_library()
    with files.replacing(path) as file, av.open(file, "w", format="mp4") as container:
        # With one thread the bytes do not depend on the number of cores.
        stream = container.add_stream("libx264", rate, options={"crf": "20", "threads": "1"})
        stream.pix_fmt = "yuv420p"
        size = []

        def add(picture: Image.Image) -> None:
            if not size:
                size.extend(side // 2 * 2 for side in picture.size)  # of the pixel format
                stream.width, stream.height = size
            picture = picture.crop((0, 0, *size))
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)

        yield add
        for packet in stream.encode() if size else ():
            container.mux(packet)
