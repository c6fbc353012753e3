"""What a change re-runs and how long that takes, and what reproducibility costs.

The committed experiment runs in a temporary copy of this checkout, with a cache of its own. One key
of each section of params.yaml is changed, run, and taken back. Then its training is timed with
`train.deterministic` on and off, in turns, and with a checkpoint after each epoch.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

import report
import stages
import table
import workers
from ferpipe.core.errors import PipelineError, exits_cleanly

ROUNDS = 3
# One key of each section, and another value for it.
CHANGES = {
    "download": ("sample.seed", 2),
    "split": ("seed", 2),
    "preprocess": ("shard_size", 500),
    "train": ("seed", 2),
    "evaluate": ("confidence", 0.9),
    "cv": ("seeds", [1, 2]),
    "run": ("workers", 1),
}
EPOCH = re.compile(r"train: epoch +\d+ .* ([0-9.]+) s")


class Copy:
    """A copy of this checkout in which DVC has not run yet.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ferpipe"
        stages.copy_checkout(self.path)
        self._environment = stages.environment(folder, folder / "times.jsonl") | {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        }
        self._committed = (self.path / "params.yaml").read_text(encoding="utf-8")

    def set(self, key: str, value: object) -> None:
        """Change one key of the committed params.yaml."""
        values = YAML(typ="safe", pure=True).load(self._committed)
        *sections, last = key.split(".")
        target = values
        for section in sections:
            target = target[section]
        target[last] = value
        # JSON is YAML 1.2.
        (self.path / "params.yaml").write_text(json.dumps(values), encoding="utf-8")

    def take_back(self) -> None:
        """Restore the committed params.yaml."""
        (self.path / "params.yaml").write_text(self._committed, encoding="utf-8")

    def run(self, *words: str) -> tuple[float, str]:
        """Run a command; return its seconds and its output."""
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.path,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begun
        if done.returncode != 0:
            raise PipelineError(f"{' '.join(words)} failed: {done.stderr.strip()[-500:]}")
        return seconds, done.stdout

    def repro(self) -> tuple[float, list[str]]:
        """Run `dvc repro`; its seconds, and the stages that ran."""
        seconds, said = self.run("-m", "dvc", "repro")
        return seconds, re.findall(r"Running stage '(\w+)'", said)


def affected(copy: Copy) -> list[tuple[str, ...]]:
    """A row for each section: what a change there runs, how long, and how long taking it back."""
    copy.repro()
    rows = []
    for section, (key, value) in CHANGES.items():
        copy.set(f"{section}.{key}", value)
        seconds, ran = copy.repro()
        copy.take_back()
        back, ran_again = copy.repro()
        if ran_again:
            raise PipelineError(f"taking {section}.{key} back ran {', '.join(ran_again)}")
        ran_text = ", ".join(ran) or "nothing"
        rows.append((f"`{section}.{key}`", ran_text, f"{seconds:.1f}", f"{back:.1f}"))
        print(f"reruns: {' | '.join(rows[-1])}", flush=True)
    return rows


def epochs(copy: Copy) -> list[float]:
    """Seconds of each epoch of a training but the first, which traces."""
    _, said = copy.run("src/stage.py", "train")
    return [float(seconds) for seconds in EPOCH.findall(said)][1:]


def costs(copy: Copy, rounds: int) -> list[tuple[str, ...]]:
    """A row for each way to train: seconds of an epoch, and their ratio to the fast way's."""
    ways = {
        "`deterministic: false`": ("train.deterministic", False),
        "`deterministic: true`": ("train.deterministic", True),
        "the same, with a checkpoint after each epoch": ("run.checkpoint_seconds", 0),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        print(f"reruns: training, round {number + 1} of {rounds}", flush=True)
        for name, (key, value) in ways.items():
            copy.set(key, value)
            seconds = epochs(copy)
            found[name].append(sum(seconds) / len(seconds))
    copy.take_back()
    first = found[next(iter(ways))]
    return [
        (name, table.spread(seconds, 2), table.spread(table.ratios(seconds, first), 2))
        for name, seconds in found.items()
    ]


@exits_cleanly("reruns")
def main() -> None:
    """Run, and publish the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the trainings")
    args = parser.parse_args()
    noise = report.others()
    with tempfile.TemporaryDirectory() as temporary:
        copy = Copy(Path(temporary))
        sections = affected(copy)
        trained = costs(copy, args.rounds)
    parts = [
        *noise,
        "One run each of the committed params.yaml: `dvc repro` as a whole, with DVC's start.\n",
        table.markdown(("a change of", "runs", "seconds", "taken back"), sections),
        "Seconds of an epoch (the first one left out), in turns, and the ratio within a turn:\n",
        table.markdown(("training", "seconds", "ratio"), trained),
    ]
    report.publish("reruns", "What a change costs", workers.versions(), parts)


if __name__ == "__main__":
    main()
