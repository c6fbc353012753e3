"""Where the time of the committed experiment's `dvc repro` goes, stage by stage.

DVC runs in a temporary copy of this checkout, with a cache of its own. The `python` that it finds
there is `timed_stage.py`, which runs the same stage code with timers around functions of it. DVC's
own time is what no stage accounts for.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import table
import workers
from ferpipe.core.errors import PipelineError, exits_cleanly
from timed_stage import PARTS, STAGES
from workers import BENCHMARKS, ROOT

ROUNDS = 3
# What stages write; the copy starts without it.
OUTPUTS = ("dvc.lock", "data/raw/", "data/split.csv", "data/records/", "models/", "reports/")
HEADER = ("seconds", *STAGES, "all")


def copy_checkout(target: Path) -> None:
    """Copy what git tracks or would track, as it is in the working tree, and make it a repository.

    Raises:
        PipelineError: this is no git checkout.
    """
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise PipelineError("git cannot list the files of this checkout; clone it with git")
    for name in filter(None, listed.stdout.split("\0")):
        ignores = name.endswith(".gitignore")
        if (ROOT / name).is_file() and (ignores or not name.startswith(OUTPUTS)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)


def environment(folder: Path, times: Path) -> dict[str, str]:
    """The variables that DVC runs with: our `python`, and nothing of this machine's git and DVC."""
    binaries = folder / "bin"
    binaries.mkdir()
    python = binaries / "python"
    # -I -S: only standard modules are needed, so the stand-in starts at once.
    words = ["exec", sys.executable, "-I", "-S", str(BENCHMARKS / "timed_stage.py")]
    python.write_text(f'#!/bin/sh\n{shlex.join(words)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_"))}
    return inherited | {
        "PATH": os.pathsep.join(
            (str(binaries), str(Path(sys.executable).parent), os.environ["PATH"])
        ),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "STAGE_TIMES": str(times),
    }


def run_once(stages: list[str]) -> dict[str, dict[str, float]]:
    """One `dvc repro` in a fresh copy, and one more with nothing to do.

    Args:
        stages: the last stages to run; empty runs all.

    Returns:
        The seconds of each part of each stage, and under "dvc" those of DVC.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy, times = folder / "ferpipe", folder / "times.jsonl"
        copy_checkout(copy)
        variables = environment(folder, times)
        whole = _repro(copy, variables, stages)
        again = _repro(copy, variables, stages)
        lines = [json.loads(line) for line in times.read_text(encoding="utf-8").splitlines()]
    parts = by_stage(lines)
    inside = sum(sum(seconds.values()) for seconds in parts.values())
    parts["dvc"] = {"whole": whole, "itself": whole - inside, "nothing to do": again}
    return parts


def _repro(copy: Path, variables: dict[str, str], stages: list[str]) -> float:
    dvc = str(Path(sys.executable).parent / "dvc")
    started = time.perf_counter()
    done = subprocess.run(
        [dvc, "repro", *stages],
        cwd=copy,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise PipelineError(f"dvc repro failed: {done.stderr.strip()[-500:]}")
    return seconds


def by_stage(lines: list[dict]) -> dict[str, dict[str, float]]:
    """The parts of each stage, from what `timed_stage.py` recorded within and around it."""
    parts: dict[str, dict[str, float]] = {}
    finished = {}
    for line in lines:
        if "seconds" in line:
            parts[line["stage"]] = line["seconds"]
            finished[line["stage"]] = line["finished"]
        else:
            parts[line["stage"]]["process exit"] = line["ended"] - finished[line["stage"]]
    return parts


def rows(runs: list[dict[str, dict[str, float]]]) -> list[tuple[str, ...]]:
    """The table's rows: medians over the runs; a stage's wall time has its own median."""

    def cell(stage: str, part: str | None) -> float:
        return statistics.median(
            sum(run.get(stage, {}).values()) if part is None else run.get(stage, {}).get(part, 0.0)
            for run in runs
        )

    made = []
    for part in (*PARTS, None):
        cells = [cell(stage, part) for stage in STAGES]
        texts = [f"{seconds:.2f}" if seconds >= 0.005 else "" for seconds in cells]
        made.append((part or "the stage, wall", *texts, f"{sum(cells):.2f}"))
    return made


@exits_cleanly("stages")
def main() -> None:
    """Run, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs, each in a fresh copy")
    parser.add_argument(
        "--quick", action="store_true", help="once, without train and evaluate; writes no file"
    )
    args = parser.parse_args()
    rounds = 1 if args.quick else args.rounds
    noise = report.others()
    runs = []
    for number in range(rounds):
        print(f"stages: run {number + 1} of {rounds}", flush=True)
        runs.append(run_once(["preprocess"] if args.quick else []))
    whole, itself, again = (
        table.spread([run["dvc"][key] for run in runs], 2)
        for key in ("whole", "itself", "nothing to do")
    )
    parts = [
        *noise,
        f"`dvc repro` of the committed params.yaml in a fresh copy: {whole} s, of which DVC itself "
        f"{itself} s.\nOnce more, with nothing to do: {again} s. Medians of {rounds} runs.\n",
        table.markdown(HEADER, rows(runs)),
        "building: network, optimizer, and the model file read; first step: tracing included; "
        "batches: order, augmentation\nand what else an epoch does around its steps; predicting: "
        "val after each epoch, test at the end, tracing included;\nrest: in download the drawing, "
        "in preprocess the decoding.\n",
    ]
    title = "Where a run's time goes"
    report.publish("stages", title, workers.versions(), parts, keep=not args.quick)


if __name__ == "__main__":
    main()
