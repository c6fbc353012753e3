"""Many images through the stages up to a solved head: time and memory of each stage.

The images are noise of 48x48 in CK+'s naming: of each person seven classes, three frames a class.
Two sizes, so that the slope is the cost of one image more, without the start of the stage. Train
solves a head on models/drawn.keras with four augmented copies: six rows for each image of train and
val.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

import report
import table
import workers
from ferpipe.core import files
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import png
from ferpipe.params.reader import read_yaml
from workers import ROOT

STAGES = ("download", "split", "preprocess", "train")
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
HEADER = ("stage", "images", "seconds", "peak MiB", "ms an image more", "KiB an image more")


def name_of(number: int) -> str:
    """The path of an image: person, class and frame count up."""
    number, frame = divmod(number, FRAMES)
    person, sequence = divmod(number, len(CLASSES))
    label = CLASSES[sequence]
    return f"{label}/S{person + 1:05}_{sequence + 1:03}_{frame + 1:08}.png"


def write_zip(path: Path, count: int) -> None:
    """Write a zip of noise, one image at a time."""
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number in range(count):
            pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
            zipped.writestr(files.zip_entry(name_of(number)), png.encode(pixels))


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


def measure(count: int) -> dict[str, tuple[float, int]]:
    """Seconds and peak bytes of each stage on that many images, in a folder of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_zip(folder / "images.zip", count)
        params = read_yaml(ROOT / "params.yaml")
        params["download"] |= {"source": "local", "local": {"path": "images.zip"}}
        params["train"] |= SOLVED
        weights = Path(params["train"]["weights"])
        (folder / weights.parent).mkdir()
        shutil.copy(ROOT / weights, folder / weights)
        (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
        return {stage: run_stage(stage, folder) for stage in STAGES}


def rows(found: dict[int, dict[str, tuple[float, int]]]) -> list[tuple[str, ...]]:
    """The table's rows; the slope is in the row of the larger size."""
    (few, less), (many, more) = sorted(found.items())
    made = []
    for stage in STAGES:
        for count, measured in ((few, less), (many, more)):
            seconds, peak = measured[stage]
            slope = ("", "")
            if count == many:
                time_more = (seconds - less[stage][0]) / (many - few)
                bytes_more = (peak - less[stage][1]) / (many - few)
                slope = (f"{1000 * time_more:.3f}", f"{bytes_more / 1024:.2f}")
            made.append((stage, f"{count:,}", f"{seconds:.2f}", f"{peak / 2**20:.0f}", *slope))
    return made


@exits_cleanly("load")
def main() -> None:
    """Measure both sizes and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few images; writes no file")
    args = parser.parse_args()
    counts = (210, 420) if args.quick else COUNTS
    noise = report.others()
    found = {count: measure(count) for count in counts}
    parts = [
        *noise,
        "Each stage once at each size, from a local zip of noise, 48x48. Train: a solved head on "
        "models/drawn.keras,\nfour augmented copies, bfloat16.\n",
        table.markdown(HEADER, rows(found)),
    ]
    report.publish("load", "Many images", workers.versions(), parts, keep=not args.quick)


if __name__ == "__main__":
    main()
