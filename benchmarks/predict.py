"""Using a model: `ferpipe predict` on photos, and faces a second beside the package `fer`.

A checkout after `dvc repro` gives model and pictures: its images as PNG files of two sizes, and
some of them enlarged on noise as photos. The contenders take turns on the same files. Accuracy is
that of the test split, people that neither has seen, on the classes that both know.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

import report
import table
import workers
from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import records
from workers import ROOT, Contender, Worker

FER_PYTHON = ROOT / ".venv-fer/bin/python"
FER = Contender("fer", "fer_package", peer=True)
# Name of a contender, and what `ferpipe export` is asked for.
EXPORTED = {
    "ONNX": ("onnx",),
    "LiteRT": ("litert",),
    "LiteRT, int8": ("litert", "--quantize", "int8"),
}
SIDES = (48, 192)  # of the pictures, in pixels
ROUNDS, PASSES = 5, 2
PHOTOS, PHOTO_SIZE, FACE = 100, (800, 600), 224
SPEED = (
    "contender",
    *(f"{side} px, faces/s" for side in SIDES),
    *(f"to fer, {side} px" for side in SIDES),
)
COMMAND = [sys.executable, "-c", "from ferpipe.tools.cli import main; main()"]


def fer_version(python: Path) -> str:
    """The version of fer that a Python has; raises PipelineError if it has none."""
    ask = "from importlib.metadata import version; print(version('fer'))"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        name = ".venv-fer" if python == FER_PYTHON else str(python)
        raise PipelineError(f"{name} has no fer; `make bench` installs it") from None
    return done.stdout.strip()


def picture(image: np.ndarray, side: int) -> Image.Image:
    """A cached image, uint8 (n, n, 1 or 3), as a picture of another size."""
    face = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    return face if face.width == side else face.resize((side, side), Image.Resampling.BICUBIC)


def write_faces(project: Path, folder: Path, side: int) -> dict[str, str]:
    """Write all images of a project as PNG files; returns the class of those of test, by name."""
    schema, labels = records.read_schema(project / paths.RECORDS), {}
    folder.mkdir()
    for split in ("train", "val", "test"):
        data = records.read_split(project / paths.RECORDS, schema, split)
        for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
            name = f"{split}-{number:05}.png"
            picture(image, side).save(folder / name)
            if split == "test":
                labels[name] = schema.classes[label]
    return labels


def write_photos(project: Path, folder: Path) -> None:
    """Write photos: a face of the test split each, somewhere on noise."""
    data = records.read_split(
        project / paths.RECORDS, records.read_schema(project / paths.RECORDS), "test"
    )
    folder.mkdir()
    rng = np.random.default_rng(1)
    width, height = PHOTO_SIZE
    for number in range(PHOTOS):
        photo = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        face = picture(data.images[number * len(data.images) // PHOTOS], FACE)
        corner = rng.integers(0, (width - FACE, height - FACE)).tolist()
        photo.paste(face.convert("RGB"), corner)
        photo.save(folder / f"{number:03}.jpg", quality=90)


def measure_photos(project: Path, folder: Path) -> str:
    """A sentence: the seconds of `ferpipe predict` on the photos, and how many faces it found."""
    write_photos(project, folder / "photos")
    output = folder / "photos.csv"
    started = time.perf_counter()
    model = ["--model", str(project.absolute() / paths.MODEL)]
    workers.run_to_end([*COMMAND, "predict", "photos", *model, "--csv", str(output)], folder)
    seconds = time.perf_counter() - started
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = len({row["path"] for row in rows if row["face"] != "0"})
    width, height = PHOTO_SIZE
    return (
        f"`ferpipe predict` on {PHOTOS} photos of {width}x{height} px with a face each: "
        f"{seconds:.1f} s, start included; a face was\nfound in {found}.\n"
    )


def contenders(project: Path, folder: Path) -> list[Contender]:
    """The package fer, and ours with each file; the exported ones are written here."""
    model = project.absolute() / paths.MODEL
    models = {"Keras": model}
    for number, (name, words) in enumerate(EXPORTED.items()):
        form = words[0]
        models[name] = folder / f"{number}{'.onnx' if form == 'onnx' else '.tflite'}"
        target = ["--model", str(model), "--output", str(models[name]), "--format"]
        workers.run_to_end([*COMMAND, "export", *target, *words], project)
        print(f"exported: {name}", flush=True)
    ours = [
        Contender(f"ferpipe, {name}", "predictor", ("--model", str(path)))
        for name, path in models.items()
    ]
    return [FER, *ours]


def measure(
    who: Sequence[Contender], python: Path, folder: Path, side: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, dict[str, float]]]]:
    """Faces a second of each contender in each round, and its probabilities of each picture."""
    pictures, speeds, said = folder / str(side), {one.name: [] for one in who}, {}
    count = len(list(pictures.iterdir()))
    with ExitStack() as stack:
        started = []
        for number, one in enumerate(who):
            output = folder / f"{side}-{number}.json"
            arguments = {"pictures": pictures, "output": output}
            worker = stack.enter_context(Worker(one, python, arguments))
            worker.ready()
            said[one.name] = json.loads(output.read_text())
            started.append(worker)
        for number in range(rounds):
            print(f"predict: {side} px, round {number + 1} of {rounds}", flush=True)
            for worker in started:
                seconds = worker.train(PASSES)
                speeds[worker.contender.name].append(PASSES * count / seconds)
    return speeds, said


def speed_rows(speeds: Mapping[int, Mapping[str, Sequence[float]]]) -> list[tuple[str, ...]]:
    """The rows of the table of speeds, from those by side and contender."""
    rows = []
    for name in next(iter(speeds.values())):
        absolute = [table.spread(of_side[name], 0) for of_side in speeds.values()]
        ratios = [
            table.spread(table.ratios(of_side[name], of_side[FER.name]), 2)
            for of_side in speeds.values()
        ]
        rows.append((name, *absolute, *ratios))
    return rows


def kind(label: str) -> str:
    """What `angry` and `anger`, `sad` and `sadness` have in common."""
    return label.lower()[:3]


def accuracy_rows(
    truth: Mapping[str, str], said: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> list[tuple[str, ...]]:
    """The header and rows of the accuracies on the classes that all contenders know.

    Args:
        truth: class of each picture.
        said: for each contender the probabilities of each picture.
    """
    known = [{kind(label) for label in next(iter(of.values()))} for of in said.values()]
    shared = [
        label for label in sorted(set(truth.values())) if all(kind(label) in k for k in known)
    ]
    kinds = [kind(label) for label in shared]
    header = (
        "contender",
        "all",
        *(f"{label} ({list(truth.values()).count(label)})" for label in shared),
    )
    rows = [header]
    for name, of_pictures in said.items():
        right: dict[str, list[bool]] = {label: [] for label in shared}
        for file, label in truth.items():
            if label in right:
                values = {kind(key): value for key, value in of_pictures[file].items()}
                right[label].append(max(kinds, key=values.__getitem__) == kind(label))
        every = [value for values in right.values() for value in values]
        rows.append((name, *(f"{np.mean(values):.1%}" for values in (every, *right.values()))))
    return rows


@exits_cleanly("predict")
def main() -> None:
    """Measure, and publish the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--project", type=Path, default=ROOT, help="a checkout after `dvc repro`")
    parser.add_argument("--fer", type=Path, default=FER_PYTHON, help="Python with the package fer")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each contender")
    args = parser.parse_args()
    versions = workers.versions() | {"fer": fer_version(args.fer)}
    schema = records.read_schema(args.project / paths.RECORDS)
    noise = report.others()
    speeds, said, truth = {}, {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos = measure_photos(args.project, folder)
        print(photos, flush=True)
        who = contenders(args.project, folder)
        for side in SIDES:
            truth = write_faces(args.project, folder / str(side), side)
            speeds[side], said = measure(who, args.fer, folder, side, args.rounds)
    header, *rows = accuracy_rows(truth, said)
    parts = [
        *noise,
        photos,
        f"Faces that are cropped already, {sum(schema.images.values())} PNG files, decoding "
        "included; median over the rounds (range), ratios\nround by round:\n",
        table.markdown(SPEED, speed_rows(speeds)),
        f"Right on the test split (files of {SIDES[-1]} px), of the classes that both know; what "
        "is said is the most probable of\nthese:\n",
        table.markdown(header, rows),
    ]
    report.publish("predict", "Using a model", versions, parts, keep=args.project.resolve() == ROOT)


if __name__ == "__main__":
    main()
