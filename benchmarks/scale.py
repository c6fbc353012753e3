"""Many images: epochs from disk against epochs from memory, and the whole pipeline on faces.

The pipeline runs on drawn faces, each with its own noise, as PNGs of 48 px or as RGB JPEGs of 224
px in a zip, from `download` to `evaluate` with one epoch of the compact network on 60% of them, or
of MobileNetV2 on 10%:

    python benchmarks/scale.py                              # 10,000 and 100,000 of 48 px
    python benchmarks/scale.py --counts 10000 100000 1000000
    python benchmarks/scale.py --side 224 --counts 10000 100000

A million images of 48 px need 12 GB of disk, 100,000 of 224 px 20 GB.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import load
import report
import table
import workers
from contenders import ours
from ferpipe.core import files, threads
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import png, records, tfrecord
from ferpipe.data.split_writer import SplitWriter
from ferpipe.params.reader import read_yaml
from workers import ROOT

STAGES = ("download", "split", "preprocess", "train", "evaluate")
COUNTS = (10_000, 100_000)
PEOPLE = 48  # that are drawn; others have the same faces with other noise
TINT = (1.0, 0.85, 0.7)
ONE_EPOCH = {
    **{"weights": "none", "weights_sha256": None, "epochs": 1},
    **{"warmup_epochs": 0, "head_epochs": 0},
}
# Of another side: the network, and few images to train it on, or the epoch takes most of an hour.
OTHER = "MobileNetV2"
OTHER_TRAIN = {"backbone": OTHER, "precision": "mixed_bfloat16"}
OTHER_SPLIT = {"val_size": 0.1, "test_size": 0.8}
ROUNDS = 5
PIPELINE = ("stage", "images", "seconds", "peak MiB", "disk MB", "µs an image more")
EPOCHS = (
    "network",
    "in memory, images/s",
    "from disk, images/s",
    "longer",
    "inputs alone",
    "times",
)


class Setting(NamedTuple):
    """Epochs of a network on noise: images are `side` pixels in the records."""

    backbone: str
    side: int
    channels: int
    images: int


SETTINGS = (Setting("compact", 48, 1, 6000), Setting("MobileNetV2", 96, 3, 960))


def faces() -> np.ndarray:
    """The drawn faces, uint8 (people, classes, frames, 48, 48)."""
    from ferpipe.sources.sample.people import draw_subject

    return np.array([draw_subject(1, person + 1) for person in range(PEOPLE)])


def encoded(count: int, side: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and file of each image: gray PNGs of 48 px, or RGB JPEGs of another side."""
    drawn = faces().reshape(-1, load.SIDE, load.SIDE).astype(np.int16)
    rng = np.random.default_rng(1)
    for number in range(count):
        noise = rng.integers(-8, 9, drawn.shape[1:], dtype=np.int16)
        pixels = (drawn[number % len(drawn)] + noise).clip(0, 255).astype(np.uint8)
        name = load.name_of(number)
        if side == load.SIDE:
            yield name, png.encode(pixels)
            continue
        large = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        channels = [large.point([round(level * tint) for level in range(256)]) for tint in TINT]
        file = io.BytesIO()
        Image.merge("RGB", channels).save(file, "JPEG", quality=90)
        yield name.replace(".png", ".jpg"), file.getvalue()


def prepare(folder: Path, count: int, side: int) -> None:
    """Write the source, params.yaml and what it names."""
    with zipfile.ZipFile(folder / "images.zip", "w") as zipped:
        for name, data in encoded(count, side):
            zipped.writestr(files.zip_entry(name), data)
    params = read_yaml(ROOT / "params.yaml")
    params["download"] |= {"source": "local", "local": {"path": "images.zip"}}
    params["download"]["limits"] |= {"files": 2_000_000, "total_mb": 100_000}
    params["preprocess"] |= {"image_size": side}
    params["preprocess"] |= {"color": "grayscale" if side == load.SIDE else "rgb"}
    params["train"] |= ONE_EPOCH | {"input_size": side}
    if side != load.SIDE:
        params["train"] |= OTHER_TRAIN
        params["split"] |= OTHER_SPLIT
    (folder / "data").mkdir()
    shutil.copy(ROOT / params["split"]["assigned"], folder / "data")
    (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def pipeline(count: int, side: int, scratch: Path | None) -> dict[str, tuple[float, int, int]]:
    """Seconds, peak bytes of memory and bytes written of each stage, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folder = Path(temporary)
        # Linux counts the memory of who starts a process as the process's own.
        with ProcessPoolExecutor(1) as pool:
            pool.submit(prepare, folder, count, side).result()
        found, before = {}, size(folder)
        for stage in STAGES:
            seconds, peak = load.run_stage(stage, folder)
            found[stage] = seconds, peak, size(folder) - before
            before += found[stage][2]
            cost = (
                f"{seconds:.1f} s, {peak / 2**20:.0f} MiB, {found[stage][2] / 1e6:.0f} MB written"
            )
            print(f"scale: {count:,} images: {stage} {cost}", flush=True)
        return found


def pipeline_rows(found: dict[int, dict[str, tuple[float, int, int]]]) -> list[tuple[str, ...]]:
    """The table's rows; a slope compares a size with the one before it."""
    rows = []
    counts = sorted(found)
    for stage in STAGES:
        for fewer, count in zip([None, *counts], counts, strict=False):
            seconds, peak, written = found[count][stage]
            slope = ""
            if fewer:
                more = (seconds - found[fewer][stage][0]) / (count - fewer)
                slope = f"{1e6 * more:.1f}"
            cells = (f"{count:,}", f"{seconds:.1f}", f"{peak / 2**20:.0f}", f"{written / 1e6:.0f}")
            rows.append((stage, *cells, slope))
    return rows


def write_noise(folder: Path, setting: Setting) -> records.Schema:
    """Write records of noise, one split in several shards."""
    shape = (setting.side, setting.side, setting.channels)
    rng = np.random.default_rng(1)
    with SplitWriter(folder, "train", setting.images, shard_size=100) as writer:
        for number in range(setting.images):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            label = number % len(load.CLASSES)
            writer.add(tfrecord.encode(pixels, label, load.name_of(number)))
        writer.finish()
    return records.Schema(
        image_size=setting.side,
        channels=setting.channels,
        classes=list(load.CLASSES),
        shards={"train": writer.shards},
        images={"train": setting.images},
        sha256=writer.sha256,
        selected_on_test=False,
    )


def epochs(setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Images a second of epochs in memory and from disk, and of the inputs alone, in turn."""
    from ferpipe.model.network import initial_model
    from ferpipe.params.reader import read_section
    from ferpipe.params.train import Train
    from ferpipe.training import epoch, loop
    from ferpipe.training.phase import compile_phase

    committed = read_section(ROOT / "params.yaml", "train", Train).model_dump()
    changes = ours.changes(setting.backbone, setting.side, 32) | {
        "precision": "float32",
        "deterministic": True,
    }
    params = Train(**committed | changes)
    (phase,) = loop.phases(params)
    speeds: dict[str, list[float]] = {"memory": [], "disk": [], "inputs": []}
    with tempfile.TemporaryDirectory() as temporary:
        schema = write_noise(Path(temporary), setting)
        tasks = {}
        for name, memory_mb in (("memory", 100_000), ("disk", 0)):
            split = records.read_split(Path(temporary), schema, "train", memory_mb)
            model = initial_model(params, schema, setting.images)
            few = split.take(np.arange(32))
            tasks[name] = compile_phase(model, params, phase, split, few)
            epoch.run_epoch(tasks[name], params, phase, 0, 0)  # traces
        order = epoch.batches(params, 0, setting.images)

        def inputs(_: int) -> None:
            made = threads.ahead(lambda batch: make(tasks["disk"], batch), order, epoch.AHEAD)
            with closing(made):
                for batch in made:
                    np.asarray(batch)

        runs: dict[str, Callable[[int], Any]] = {
            "memory": lambda n: epoch.run_epoch(tasks["memory"], params, phase, 0, n),
            "disk": lambda n: epoch.run_epoch(tasks["disk"], params, phase, 0, n),
            "inputs": inputs,
        }
        for number in range(rounds):
            for name, run in runs.items():
                started = time.perf_counter()
                run(number)
                speeds[name].append(setting.images / (time.perf_counter() - started))
    return speeds


def make(task: Any, batch: np.ndarray) -> Any:
    """A batch as `epoch.run_epoch` makes it."""
    return task.inputs(batch, np.random.default_rng(1))


def epoch_row(setting: Setting, speeds: dict[str, list[float]]) -> tuple[str, ...]:
    """A row of the table of epochs; ratios are of the same round."""
    longer = [100 * (ratio - 1) for ratio in table.ratios(speeds["memory"], speeds["disk"])]
    return (
        f"{setting.backbone}, {setting.side} px",
        *(table.spread(speeds[name], 0) for name in ("memory", "disk")),
        table.spread(longer) + " %",
        table.spread(speeds["inputs"], 0),
        table.spread(table.ratios(speeds["inputs"], speeds["memory"])),
    )


@exits_cleanly("scale")
def main() -> None:
    """Measure and publish the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS, help="images")
    parser.add_argument("--side", type=int, default=load.SIDE, help="48: gray; other: RGB")
    parser.add_argument("--scratch", type=Path, help="folder for the images and all outputs")
    parser.add_argument("--quick", action="store_true", help="few images; writes no file")
    args = parser.parse_args()
    remark, rounds, settings, counts = report.others(), ROUNDS, SETTINGS, args.counts
    if args.quick:
        rounds, counts = 1, (210, 420)
        settings = [setting._replace(images=64) for setting in SETTINGS]
    found = {count: pipeline(count, args.side, args.scratch) for count in counts}
    gray = args.side == load.SIDE
    network = "the compact network on 60% of them" if gray else f"{OTHER} (bfloat16) on 10% of them"
    parts = [
        *remark,
        f"Drawn faces of {args.side} px, a subject in one split, one epoch of {network}; "
        "each stage once.\nDisk: what the stage adds. A slope compares with the row above.\n",
        table.markdown(PIPELINE, pipeline_rows(found)),
    ]
    if gray:
        rows = [epoch_row(setting, epochs(setting, rounds)) for setting in settings]
        parts += [
            f"Epochs of noise, batches of 32, in turn: median of {rounds} rounds (range). Longer: "
            "from disk against in memory.\nInputs alone: images a second from disk, augmented, "
            "without the step; how many times the epoch's.\n",
            table.markdown(EPOCHS, rows),
        ]
    name = "scale" if gray else f"scale_{args.side}"
    versions = workers.versions()
    report.publish(name, "Past memory", versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
