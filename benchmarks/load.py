"""Many images through the stages up to a solved head: time and memory of each stage.

The images are noise of 48x48: PNGs and JPEGs in a zip, in CK+'s naming (of each person seven
classes, three frames a class), and rows of a CSV as in FER2013. Two sizes, so that the slope is the
cost of one image more, without the start of the stage. Train solves a head on models/drawn.keras
with four augmented copies: six rows for each image of train and val.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import report
import table
import workers
from ferpipe.core import files
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import png
from ferpipe.params.reader import read_yaml
from workers import ROOT

# Train reads records, which are the same whatever the images came from.
LIGHT = ("download", "split", "preprocess")
STAGES = (*LIGHT, "train")
COUNTS = (9_000, 36_000)
CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
FRAMES = 3
SIDE = 48
SOLVED = {
    "head": "solved",
    "ridge": "auto",
    "augmented_copies": 4,
    "epochs": 0,
    "warmup_epochs": 0,
    "precision": "mixed_bfloat16",
}
HEADER = (
    "source",
    "stage",
    "images",
    "seconds",
    "peak MiB",
    "ms an image more",
    "KiB an image more",
)


def name_of(number: int) -> str:
    """The path of an image: person, class and frame count up."""
    number, frame = divmod(number, FRAMES)
    person, sequence = divmod(number, len(CLASSES))
    label = CLASSES[sequence]
    return f"{label}/S{person + 1:05}_{sequence + 1:03}_{frame + 1:08}.png"


def noise(count: int) -> Iterator[np.ndarray]:
    """Yield noise, uint8 (48, 48), the same every time."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def write_pngs(path: Path, count: int) -> None:
    """Write a zip of PNGs, one image at a time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, pixels in enumerate(noise(count)):
            zipped.writestr(files.zip_entry(name_of(number)), png.encode(pixels))


def write_jpegs(path: Path, count: int) -> None:
    """Write a zip of JPEGs, one image at a time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, pixels in enumerate(noise(count)):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG")
            name = name_of(number).replace(".png", ".jpg")
            zipped.writestr(files.zip_entry(name), file.getvalue())


def write_csv(path: Path, count: int) -> None:
    """Write a CSV with the pixels of an image in each row, as fer2013.csv."""
    with path.open("w", encoding="utf-8") as file:
        file.write("emotion,pixels,Usage\n")
        for number, pixels in enumerate(noise(count)):
            usage = ("Training", "PublicTest", "PrivateTest")[max(0, number % 10 - 7)]
            text = " ".join(map(str, pixels.ravel().tolist()))
            file.write(f"{number % len(CLASSES)},{text},{usage}\n")


class Source(NamedTuple):
    """A form in which images come: what writes it, and the keys of its params."""

    name: str
    write: Callable[[Path, int], None]
    file: str
    stages: Sequence[str] = LIGHT
    split: Mapping[str, object] = {}


SOURCES = (
    Source("PNGs in a zip", write_pngs, "images.zip", STAGES),
    Source("JPEGs in a zip", write_jpegs, "images.zip"),
    Source("rows of a CSV", write_csv, "fer2013.csv", split={"group_by": "none"}),
)


def run_stage(stage: str, folder: Path) -> tuple[float, int]:
    """Run a stage in its own process.

    Returns:
        Seconds from start to exit, and the most memory that it held at a time, in bytes.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src/stage.py"), stage],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process.stderr:
        errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise PipelineError(f"{stage} failed: {errors.strip()[-500:]}")
    return time.perf_counter() - started, used.ru_maxrss * 1024


def measure(source: Source, count: int) -> dict[str, tuple[float, int]]:
    """Seconds and peak bytes of each stage on that many images, in a folder of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source.write(folder / source.file, count)
        params = read_yaml(ROOT / "params.yaml")
        params["download"] |= {"source": "local", "local": {"path": source.file}}
        params["split"] |= source.split
        params["train"] |= SOLVED
        weights = Path(params["train"]["weights"])
        (folder / weights.parent).mkdir()
        shutil.copy(ROOT / weights, folder / weights)
        (folder / "data").mkdir()
        shutil.copy(ROOT / params["split"]["assigned"], folder / "data")
        (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
        return {stage: run_stage(stage, folder) for stage in source.stages}


def rows(name: str, found: dict[int, dict[str, tuple[float, int]]]) -> list[tuple[str, ...]]:
    """The table's rows of a source; the slope is in the row of the larger size."""
    (few, less), (many, more) = sorted(found.items())
    made = []
    for stage in less:
        for count, measured in ((few, less), (many, more)):
            seconds, peak = measured[stage]
            slope = ("", "")
            if count == many:
                time_more = (seconds - less[stage][0]) / (many - few)
                bytes_more = (peak - less[stage][1]) / (many - few)
                slope = (f"{1000 * time_more:.3f}", f"{bytes_more / 1024:.2f}")
            cells = (f"{count:,}", f"{seconds:.2f}", f"{peak / 2**20:.0f}")
            made.append((name, stage, *cells, *slope))
    return made


def totals(name: str, measured: dict[str, tuple[float, int]]) -> str:
    """A line with the time of download, split and preprocess together, and their peak memory."""
    seconds = sum(measured[stage][0] for stage in LIGHT)
    peak = max(measured[stage][1] for stage in LIGHT)
    return f"{name}: {seconds:.1f} s and {peak / 2**20:.0f} MiB for {', '.join(LIGHT)}."


@exits_cleanly("load")
def main() -> None:
    """Measure both sizes and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few images; writes no file")
    parser.add_argument("--light", action="store_true", help="no training; writes no file")
    args = parser.parse_args()
    counts = (210, 420) if args.quick else COUNTS
    remark = report.others()
    lines, cells = [], []
    for source in SOURCES:
        if args.light:
            source = source._replace(stages=LIGHT)
        found = {count: measure(source, count) for count in counts}
        cells += rows(source.name, found)
        lines.append(totals(source.name, found[counts[-1]]))
    parts = [
        *remark,
        f"Each stage once at each size, from local files of noise, {SIDE}x{SIDE}. Train: a solved "
        "head on\nmodels/drawn.keras, four augmented copies, bfloat16.\n",
        table.markdown(HEADER, cells),
        f"{counts[-1]:,} images:\n",
        "\n".join(f"- {line}" for line in lines),
        "",
    ]
    keep = not (args.quick or args.light)
    report.publish("load", "Many images", workers.versions(), parts, keep=keep)


if __name__ == "__main__":
    main()
