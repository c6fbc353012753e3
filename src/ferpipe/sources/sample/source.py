"""The built-in sample: faces that this package draws, as the canonical archive."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import Image, ImageDraw

from ferpipe.data import png
from ferpipe.params.download import Download, Sample
from ferpipe.params.run import Run
from ferpipe.sources.intake import repacking
from ferpipe.sources.intake.member import Member
from ferpipe.sources.sample.people import PROTOTYPES, draw_subject, file_names
from ferpipe.sources.sample.raster import SIDE


def fetch(params: Download, run: Run, target: Path) -> repacking.Contents:
    """Draw the sample into the canonical archive `target`; three frames a subject and class."""
    members = []
    for subject in range(1, params.sample.subjects + 1):
        faces = draw_subject(params.sample.seed, subject)
        names = file_names(params.sample.seed, subject)
        for label, frames, frame_names in zip(PROTOTYPES, faces, names, strict=True):
            for pixels, name in zip(frames, frame_names, strict=True):
                members.append(Member(label, name, functools.partial(png.encode, pixels)))
    return repacking.pack(members, target, params, run.workers)


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
