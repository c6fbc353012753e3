"""Exported files beside Keras: size, difference from Keras, and images a second.

All formats of one model, in turns on two threads, with batches of raw uint8 images of noise.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

import report
import table
import workers
from ferpipe.core.errors import exits_cleanly
from ferpipe.core.paths import MODEL
from ferpipe.tools import exporting

THREADS, BATCH, ROUNDS, TURN_SECONDS = 2, 64, 5, 2.0
FORMS = {"ONNX": "onnx", "LiteRT": "litert", "LiteRT, int8": "litert", "SavedModel": "saved-model"}
HEADER = ("file", "MB", "largest difference", "images/s", "to Keras")


def export_all(model: Path, folder: Path) -> Iterator[tuple[str, list[str], Path]]:
    """Yield name, what `ferpipe export` prints, and path of each file that can be made."""
    for number, (name, form) in enumerate(FORMS.items()):
        path, quantize = folder / f"{number}", "int8" if name.endswith("int8") else None
        print(f"exported: {name}", flush=True)
        yield name, list(exporting.export(model, form, path, "uint8", quantize)), path


def speeds(
    runs: Mapping[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Images a second of each in each round, in turns."""
    measured = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start, batches = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                run()
                batches += 1
            measured[name].append(BATCH * batches / (time.perf_counter() - start))
    return measured


def rows(
    lines: Mapping[str, list[str]], measured: Mapping[str, list[float]]
) -> list[tuple[str, ...]]:
    """The table's rows; the lines are those of `ferpipe export`."""
    made = []
    for name, of_rounds in measured.items():
        size = lines[name][0].split()[-2] if name in lines else ""
        difference = lines[name][4].rpartition(" ")[2] if name in lines else ""
        ratio = table.spread(table.ratios(of_rounds, measured["Keras"]), 2)
        made.append((name, size, difference, table.spread(of_rounds, 0), ratio))
    return made


@exits_cleanly("exported")
def main() -> None:
    """Export the model to all formats, measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each file")
    args = parser.parse_args()
    noise = report.others()
    with tempfile.TemporaryDirectory() as folder:
        made = {name: (lines, path) for name, lines, path in export_all(args.model, Path(folder))}
        from ferpipe.model import saving  # imports Keras
        from ferpipe.prediction import exported

        model = saving.load_vetted(args.model)
        images = np.random.default_rng(0).integers(
            0, 256, (BATCH, *model.input_shape[1:]), np.uint8
        )
        runs = {"Keras": lambda: model.predict_on_batch(images)}
        for name, (_, path) in made.items():
            predict = exported.load(path, FORMS[name], THREADS)
            runs[name] = lambda predict=predict: predict(images)
        measured = speeds(runs, args.rounds, TURN_SECONDS)
    lines = {name: told for name, (told, _) in made.items()}
    parts = [
        *noise,
        f"The network of {args.model.name}, {model.count_params():,} weights. "
        f"{lines['ONNX'][4].partition(':')[0].replace('l', 'L', 1)}.\nBatches of {BATCH}, "
        f"{THREADS} threads; median over the rounds (range), ratios round by round.\n",
        table.markdown(HEADER, rows(lines, measured)),
        *(f"{name}: {told[5]}.\n" for name, told in lines.items() if len(told) > 5),
    ]
    report.publish("exported", "Exported files", workers.versions(), parts)


if __name__ == "__main__":
    main()
