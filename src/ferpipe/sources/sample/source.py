"""The built-in sample: faces that this package draws, as the canonical archive."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw

from ferpipe.core import processes, threads
from ferpipe.data import png
from ferpipe.params.download import Download, Sample
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking
from ferpipe.sources.intake.member import Member
from ferpipe.sources.sample.people import PROTOTYPES, draw_subject, file_names
from ferpipe.sources.sample.raster import SIDE

# Subjects from which on processes are faster than one, which need not start.
MANY = 300


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Draw the sample into the canonical archive `target`; three frames a subject and class."""
    seed = params.sample.seed
    # Faces are drawn by subject, and written by class.
    with tempfile.TemporaryFile(dir=target.parent) as drawn:
        members = []
        faces = draw_subjects(seed, params.sample.subjects, run.workers)
        for subject, pixels in enumerate(faces, start=1):
            for label, names in zip(PROTOTYPES, file_names(seed, subject), strict=True):
                for name in names:
                    read = functools.partial(_read, drawn, len(members))
                    members.append(Member(label, name, read))
            drawn.write(pixels.tobytes())
        return repacking.pack(members, target, params, run.workers)


def draw_subjects(seed: int, count: int, workers: int) -> Iterator[np.ndarray]:
    """Yield `people.draw_subject` of the subjects 1 to `count`.

    `workers` processes draw many subjects (0: one per core).
    """
    draw, subjects = functools.partial(draw_subject, seed), range(1, count + 1)
    if workers == 1 or count < MANY:
        return map(draw, subjects)
    return processes.ordered(draw, subjects, lambda _: threads.MOST_BYTES, workers)


def _read(drawn: BinaryIO, number: int) -> bytes:
    """The PNG of a face in the file of all faces."""
    drawn.seek(number * SIDE * SIDE)
    pixels = np.frombuffer(drawn.read(SIDE * SIDE), np.uint8)
    return png.encode(pixels.reshape(SIDE, SIDE))


def contact_sheet(params: Sample, columns: int = 8) -> Image.Image:
    """Show the last frames of some subjects at double size, a row a class, in mode "L"."""
    zoom, margin, gap = 2, 76, 4
    cell = zoom * SIDE + gap
    columns = min(columns, params.subjects)
    sheet = Image.new("L", (margin + columns * cell, len(PROTOTYPES) * cell + gap), 255)
    pen = ImageDraw.Draw(sheet)
    for row, label in enumerate(PROTOTYPES):
        middle = row * cell + gap + zoom * SIDE // 2
        pen.text((margin - 10, middle), label, fill=0, anchor="rm", font_size=14)
    for column in range(columns):
        for row, frames in enumerate(draw_subject(params.seed, column + 1)):
            face = Image.fromarray(frames[-1].repeat(zoom, axis=0).repeat(zoom, axis=1))
            sheet.paste(face, (margin + column * cell, row * cell + gap))
    return sheet
