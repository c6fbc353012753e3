"""Waiting: from the start of the process to the first finished step, and to a saved model.

ResNet101 at 64 px, batch 32; the contenders in turn, each time a fresh process. The short run is
the project's stage `train` on a small drawn sample, two epochs with val evaluated after each; the
others fit as many images for as many epochs and save. They get finished arrays of 64x64x3.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import report
import table
import workers
from contenders import ours
from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records
from ferpipe.params.reader import read_yaml
from workers import ROOT, Contender, Worker

CONTENDERS = (workers.OURS, workers.KERAS, workers.PYTORCH)
SIZE, BATCH, EPOCHS = 64, 32, 2
SUBJECTS = 9
ROUNDS = 3
FIRST = ("contender", "first step after, s", "ratio to PyTorch")
WHOLE = ("contender", "model saved after, s", "ratio to PyTorch")


def first_step(who: Contender, peer: Path, size: int, batch: int) -> float:
    """Seconds from the start of a contender's process to its first finished step."""
    with Worker(who, peer, {"size": size, "batch": batch}) as worker:
        return worker.ready()


def make_project(folder: Path, size: int, batch: int, subjects: int) -> None:
    """Make a folder in which the stage `train` can run, and images.npz for the others."""
    values = read_yaml(ROOT / "params.yaml")
    values["download"] |= {"source": "sample", "sample": {"subjects": subjects, "seed": 1}}
    values["train"] |= ours.changes("ResNet101", size, batch)
    values["train"]["epochs"] = EPOCHS
    # JSON is YAML 1.2.
    files.write_text(folder / paths.PARAMS, json.dumps(values))
    (folder / "data").mkdir()
    shutil.copy(ROOT / values["split"]["assigned"], folder / "data")
    for stage in ("download", "split", "preprocess"):
        run_stage(stage, folder)
    schema = records.read_schema(folder / paths.RECORDS)
    arrays = {}
    for name in ("train", "val"):
        split = records.read_split(folder / paths.RECORDS, schema, name)
        faces = [Image.fromarray(image[..., 0]).resize((size, size)) for image in split.images]
        arrays[f"{name}_images"] = np.stack([np.asarray(face.convert("RGB")) for face in faces])
        arrays[f"{name}_labels"] = split.labels.astype(np.int64)
    np.savez(folder / "images.npz", **arrays)


def run_stage(name: str, folder: Path) -> float:
    """Run a stage of the project in a folder; return the seconds it took."""
    return workers.run_to_end([sys.executable, str(ROOT / "src/stage.py"), name], folder)


def whole_run(who: Contender, peer: Path, folder: Path, size: int, batch: int) -> float:
    """Seconds from the start of a contender's process to its end, with the model saved."""
    if who == workers.OURS:
        return run_stage("train", folder)
    arguments = {"size": size, "batch": batch, "epochs": EPOCHS, "data": folder / "images.npz"}
    arguments["save"] = folder / ("peer.pt" if who.peer else "peer.keras")
    return workers.run_to_end(workers.command(who, peer, arguments), workers.BENCHMARKS)


def rows(seconds: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """The table's rows: median and range, and the ratio to PyTorch round by round."""
    theirs = seconds[workers.PYTORCH.name]
    return [
        (name, table.spread(values), table.spread(table.ratios(values, theirs)))
        for name, values in seconds.items()
    ]


@exits_cleanly("start")
def main() -> None:
    """Measure both in turns and publish the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each contender")
    parser.add_argument(
        "--quick", action="store_true", help="48 px, batch 8, one round; writes no file"
    )
    workers.add_peer(parser)
    args = parser.parse_args()
    versions = workers.versions(args.peer)
    noise = report.others()

    size, batch, rounds, subjects = SIZE, BATCH, args.rounds, SUBJECTS
    if args.quick:
        size, batch, rounds, subjects = 48, 8, 1, 6
    first: dict[str, list[float]] = {who.name: [] for who in CONTENDERS}
    whole: dict[str, list[float]] = {who.name: [] for who in CONTENDERS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_project(folder, size, batch, subjects)
        images = records.read_schema(folder / paths.RECORDS).images
        for number in range(rounds):
            print(f"start: round {number + 1} of {rounds}", flush=True)
            for who in CONTENDERS:
                first[who.name].append(first_step(who, args.peer, size, batch))
            for who in CONTENDERS:
                whole[who.name].append(whole_run(who, args.peer, folder, size, batch))
    parts = [
        *noise,
        f"ResNet101, {size} px, batch {batch}; median of {rounds} rounds (range). Ratios are of "
        "seconds, round by round:\nbelow 1 is faster than PyTorch.\n",
        "From the start of the process to the first finished training step:\n",
        table.markdown(FIRST, rows(first)),
        f"A whole short run: {EPOCHS} epochs on {images['train']} images, {images['val']} judged "
        "after each, model saved:\n",
        table.markdown(WHOLE, rows(whole)),
    ]
    report.publish("start", "Waiting for a training", versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
