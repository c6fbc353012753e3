"""Kill the pipeline at random moments, run it again, and hold what it made against a whole run.

    python tests/pipeline/torture.py --kills 100      (or: make torture KILLS=100)

Each kill takes a stage, a signal and a target: `dvc` alone, the stage alone, or all of their
process group. The checkout is one in which all before that stage is done, and all after it is in
DVC's run cache, which has it for the very bytes alone that the stage should write. What is then run
is what `make repro` runs, `ferpipe check` and `dvc repro`, at once, while what was orphaned may
still be about. `ferpipe check` moves aside what DVC, killed, has left damaged; that is counted.
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
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
from checkout import Checkout, copy_tracked

from ferpipe.runtime import run_log
from ferpipe.tools import verify

STAGES = ("download", "split", "preprocess", "train", "evaluate")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = ("dvc", "stage", "group")
# `ferpipe check`, of the checkout that it runs in.
CHECK = (
    "import sys; sys.argv[1:] = ['check']; sys.path.insert(0, 'src'); "
    "from ferpipe.tools import cli; cli.main()"
)


@dataclass
class Kill:
    """What was killed, and what came of it.

    `problems` says what is wrong: an empty list is as it should be. `said` is what both runs
    printed.
    """

    stage: str
    target: str
    signal: signal.Signals
    seconds: float
    hit: bool
    resumed: bool
    mended: bool
    problems: list[str]
    said: str

    def __str__(self) -> str:
        what = "killed" if self.hit else "had ended"
        how = f"{self.target:5s} {self.signal.name:7s} {self.stage:10s} {what} at"
        also = ["DVC's file damaged"] * self.mended + ["went on"] * self.resumed
        then = "; ".join(self.problems) or ", ".join([*also, "same bytes"])
        return f"{how} {self.seconds:5.1f} s: {then}"


class Torture:
    """A pipeline to be killed.

    Args:
        folder: an empty one.
        changes: of params.yaml.
    """

    def __init__(self, folder: Path, changes: dict) -> None:
        self._snapshots = folder / "snapshots"
        self._snapshots.mkdir()
        self.work = Checkout(folder / "work")
        copy_tracked(self.work.path)
        self.work.set(changes | {"run": {"checkpoint_seconds": 0}})
        self.work.git("init", "-q")
        self.work.git("add", "-A")
        self.work.git("commit", "-q", "-m", "before")
        self.seconds = {}
        for stage in STAGES:
            shutil.copytree(self.work.path, self._snapshots / stage, symlinks=True)
            begun = time.monotonic()
            self.work.dvc("repro", stage)
            self.seconds[stage] = time.monotonic() - begun
        noted = run_log.read(self.work.path / run_log.RUNS)
        self._inside = {run.stage: run.seconds for run in noted}
        self.whole = verify.hashes(self.work.path)
        cache = Path(".dvc/cache")
        for stage in STAGES:
            shutil.copytree(
                self.work.path / cache, self._snapshots / stage / cache, dirs_exist_ok=True
            )
            for entry in (self._snapshots / stage / cache / "runs").glob("*/*/*"):
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
        log = self.work.path.parent / "first.log"
        with log.open("wb") as output:
            dvc = subprocess.Popen(
                ["dvc", "repro"],
                cwd=self.work.path,
                env=self.work.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # In the background of a script it is ignored, and what it starts inherits that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        begun = time.monotonic()
        victim = dvc.pid
        if target == "stage":
            victim = self._stage(dvc)
        usual = self._inside if target == "stage" else self.seconds
        time.sleep(moment * usual[stage])
        seconds = time.monotonic() - begun
        hit = dvc.poll() is None
        try:
            if target == "group":
                os.killpg(dvc.pid, number)
            elif victim:
                os.kill(victim, number)
        except ProcessLookupError:
            hit = False
        problems = []
        try:
            code = dvc.wait(180)
        except subprocess.TimeoutExpired:
            problems.append("dvc hung")
            os.killpg(dvc.pid, signal.SIGKILL)
            code = dvc.wait()
        # A stage that dvc has left behind writes to the same file a moment longer.
        checked = self.work.run("python", "-c", CHECK)
        again = self.work.run("dvc", "repro", check=False)
        said = log.read_text(errors="replace")
        problems += self._wrong(again)
        # DVC, interrupted while it is imported, prints one of its own.
        if "Traceback" in said + again and f"{self.work.path}/src" in said + again:
            problems.append("a traceback of the stage")
        if hit and target == "stage" and number != signal.SIGKILL:
            if code != 255:
                problems.append(f"dvc ended with {code}")
            how = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
            # Before Python runs our first line the system ends the process, and DVC tells of it.
            early = moment * usual[stage] < 0.1 and f"exited with -{number}" in said
            if said.count(f": {how}\n") != 1 and not early:
                problems.append("not one line")
        resumed, mended = "resumes after epoch" in again, "was damaged" in checked
        said += checked + again
        return Kill(stage, target, number, seconds, hit, resumed, mended, problems, said)

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

    def _wrong(self, again: str) -> list[str]:
        """What is not as after a whole run."""
        problems = []
        if self.work.code != 0:
            reason = again.strip().splitlines()[-1] if again.strip() else ""
            problems.append(f"dvc repro ended with {self.work.code}: {reason}")
            return problems
        found = verify.hashes(self.work.path)
        differ = [
            str(path) for path in {*found, *self.whole} if found.get(path) != self.whole.get(path)
        ]
        if differ:
            problems.append(f"other bytes: {', '.join(sorted(differ))}")
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


def summary(kills: list[Kill]) -> list[str]:
    """A line for each target and signal, and one for all."""
    head = ("killed", "kills", "had ended", "went on", "DVC's file damaged", "same bytes")
    lines = ["{:14s} {:>6s} {:>10s} {:>8s} {:>16s} {:>11s}".format(*head)]
    for target in TARGETS:
        for number in SIGNALS:
            of = [kill for kill in kills if (kill.target, kill.signal) == (target, number)]
            lines.append(_line(f"{target} {number.name}", of))
    for stage in STAGES:
        lines.append(_line(f"in {stage}", [kill for kill in kills if kill.stage == stage]))
    return [*lines, _line("all", kills)]


def _line(name: str, kills: list[Kill]) -> str:
    counts = Counter()
    for kill in kills:
        counts["ended"] += not kill.hit
        counts["resumed"] += kill.resumed
        counts["mended"] += kill.mended
        counts["same"] += not kill.problems
    numbers = (counts[what] for what in ("ended", "resumed", "mended", "same"))
    return "{:14s} {:6d} {:10d} {:8d} {:16d} {:11d}".format(name, len(kills), *numbers)


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
                print(kills[-1].said, flush=True)
    print("\n".join(summary(kills)))
    if any(kill.problems for kill in kills):
        sys.exit("torture: error: not every rerun gave the bytes of an uninterrupted run")


if __name__ == "__main__":
    main()
