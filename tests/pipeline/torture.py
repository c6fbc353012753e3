"""Kill the pipeline at random moments, run it again, and compare its outputs with a whole run's.

    python tests/pipeline/torture.py --kills 100      (or: make torture KILLS=100)

Each kill has a stage, a signal and a target: `dvc` alone, the stage alone, or their process group.
It starts from a checkout in which all stages before this one are done; all after it are in DVC's
run cache, which is used only if this stage writes the same bytes. What then runs is what
`make repro` runs, `ferpipe check` and `dvc repro`, at once, while orphans of the killed run may
still be running. `ferpipe check` moves aside files that DVC, killed, left damaged; these are
counted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
from checkout import STAGES, copy_repository

from ferpipe.runtime import run_log
from ferpipe.tools import verify

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = ("dvc", "stage", "group")


@dataclass
class Kill:
    """A kill and the run after it."""

    stage: str
    target: str
    signal: signal.Signals
    seconds: float  # after the start
    hit: bool  # whether the target still ran
    resumed: bool  # whether training resumed from a checkpoint
    damaged: bool  # whether DVC left a damaged file
    problems: list[str]  # differences from an uninterrupted run
    output: str  # of both runs

    def __str__(self) -> str:
        what = "killed" if self.hit else "had ended"
        how = f"{self.target:5s} {self.signal.name:7s} {self.stage:10s} {what} at"
        also = ["damaged file of DVC"] * self.damaged + ["resumed"] * self.resumed
        then = "; ".join(self.problems) or ", ".join([*also, "same bytes"])
        return f"{how} {self.seconds:5.1f} s: {then}"


class Torture:
    """A pipeline to be killed, run in an empty folder with these changes of params.yaml."""

    def __init__(self, folder: Path, changes: dict) -> None:
        self._snapshots = folder / "snapshots"
        self.work = copy_repository(folder / "work", changes, {"run": {"checkpoint_seconds": 0}})
        self.seconds = {}
        for stage in STAGES:
            shutil.copytree(self.work.path, self._snapshots / stage, symlinks=True)
            begun = time.monotonic()
            self.work.dvc("repro", stage)
            self.seconds[stage] = time.monotonic() - begun
        log = run_log.read(self.work.path / run_log.RUNS)
        self._inside = {run.stage: run.seconds for run in log}
        self.whole = verify.hashes(self.work.path)
        for stage in STAGES:
            cache = self._snapshots / stage / ".dvc/cache"
            shutil.copytree(self.work.path / ".dvc/cache", cache, dirs_exist_ok=True)
            for entry in (cache / "runs").glob("*/*/*"):
                if f"src/stage.py {stage}" in entry.read_text():
                    shutil.rmtree(entry.parent)  # DVC fails on one that is empty

    def kill(self, stage: str, target: str, number: signal.Signals, moment: float) -> Kill:
        """Kill once, run again, compare.

        Args:
            stage: the one that is to run first.
            target: "dvc", "stage" or "group".
            number: the signal.
            moment: 0 is the start (of the stage where that is the target), 1 its usual end.
        """
        shutil.rmtree(self.work.path)
        shutil.copytree(self._snapshots / stage, self.work.path, symlinks=True)
        usual = self._inside if target == "stage" else self.seconds
        log = self.work.path.parent / "first.log"
        seconds, hit, code = self._killed_run(target, number, moment * usual[stage], log)
        # A stage that dvc has left behind writes to the same file a moment longer.
        checked = self.work.ferpipe("check")
        again = self.work.dvc("repro", check=False)
        first = log.read_text(errors="replace")
        problems = ["dvc hung"] if code is None else []
        problems += self._differences(again)
        # DVC, interrupted while it is imported, prints a traceback of its own.
        if "Traceback" in first + again and f"{self.work.path}/src" in first + again:
            problems.append("a traceback of the stage")
        if hit and target == "stage" and number != signal.SIGKILL:
            if code != 255:
                problems.append(f"dvc ended with {code}")
            how = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
            # Before Python runs our first line the system ends the process, which DVC reports.
            early = moment * usual[stage] < 0.1 and f"exited with -{number}" in first
            if first.count(f": {how}\n") != 1 and not early:
                problems.append("not one line")
        resumed, damaged = "resumes after epoch" in again, "was damaged" in checked
        output = first + checked + again
        return Kill(stage, target, number, seconds, hit, resumed, damaged, problems, output)

    def _killed_run(
        self, target: str, number: signal.Signals, delay: float, log: Path
    ) -> tuple[float, bool, int | None]:
        """Run dvc and kill it: seconds until then, whether it still ran, its exit status."""
        with log.open("wb") as output:
            dvc = self.work.start(
                *("dvc", "repro"),
                stdout=output,
                start_new_session=True,
                # In the background of a script it is ignored, which child processes inherit.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        begun = time.monotonic()
        victim = self._stage(dvc) if target == "stage" else dvc.pid
        time.sleep(delay)
        seconds = time.monotonic() - begun
        hit = dvc.poll() is None
        try:
            if target == "group":
                os.killpg(dvc.pid, number)
            elif victim:
                os.kill(victim, number)
        except ProcessLookupError:
            hit = False
        try:
            return seconds, hit, dvc.wait(180)
        except subprocess.TimeoutExpired:
            os.killpg(dvc.pid, signal.SIGKILL)
            dvc.wait()
            return seconds, hit, None

    def _stage(self, dvc: subprocess.Popen) -> int:
        """The process of the stage that `dvc` runs, once there is one; 0 if there was none."""
        while dvc.poll() is None:
            try:
                for child in psutil.Process(dvc.pid).children(recursive=True):
                    if "src/stage.py" in child.cmdline():
                        return child.pid
            except psutil.Error:
                pass
            time.sleep(0.01)
        return 0

    def _differences(self, again: str) -> list[str]:
        """What differs from an uninterrupted run, after a rerun that printed `again`."""
        if self.work.code != 0:
            return [f"dvc repro ended with {self.work.code}: {again.strip().splitlines()[-1:]}"]
        problems = []
        hashes = verify.hashes(self.work.path).items() ^ self.whole.items()
        if hashes:
            names = sorted({path.as_posix() for path, _ in hashes})
            problems.append(f"other bytes: {', '.join(names)}")
        left = list(self.work.path.rglob("*.partial"))
        if left:
            problems.append(f"left behind: {', '.join(map(str, left))}")
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()) == self.work.path and process.status() != "zombie":
                    problems.append(f"still running: {' '.join(process.cmdline())}")
            except psutil.Error:
                pass
        return problems


def summary(kills: list[Kill]) -> str:
    """A table of counts: a row for each target and signal, one for each stage, and one for all."""
    table = pd.DataFrame([vars(kill) for kill in kills])
    counts = pd.DataFrame(
        {
            "kills": 1,
            "had ended": ~table["hit"],
            "resumed": table["resumed"],
            "damaged file of DVC": table["damaged"],
            "same bytes": table["problems"].str.len() == 0,
        }
    )
    signals = table["target"] + " " + [kill.signal.name for kill in kills]
    groups = (signals, "in " + table["stage"], table["stage"].map(lambda _: "all"))
    return pd.concat([counts.groupby(group, sort=False).sum() for group in groups]).to_string()


def main() -> None:
    """Kill the committed experiment."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=1, help="of the moments; default: 1")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    kills = []
    with tempfile.TemporaryDirectory(prefix="ferpipe-torture-") as name:
        torture = Torture(Path(name), {})
        usual = ", ".join(f"{stage} {took:.0f} s" for stage, took in torture.seconds.items())
        print(f"torture: uninterrupted: {usual}", flush=True)
        for count in range(args.kills):
            # Every stage, target and signal in turn, so that none is left out by chance.
            how = STAGES[count % 5], TARGETS[count // 5 % 3], SIGNALS[count // 15 % 3]
            kills.append(torture.kill(*how, rng.random()))
            print(f"torture: {count + 1:3d} {kills[-1]}", flush=True)
            if kills[-1].problems:
                print(kills[-1].output, flush=True)
    print(summary(kills))
    if any(kill.problems for kill in kills):
        sys.exit("torture: error: not every rerun gave the bytes of an uninterrupted run")


if __name__ == "__main__":
    main()
