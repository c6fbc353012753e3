"""Replaces `python` in `stages.py`: runs `src/stage.py NAME` and times its parts.

The stage's code is not changed: functions of it are wrapped here, by name. Every second of the
stage is charged to one part: to the innermost wrapped function that runs, or to the rest. The
parts go to the file that the variable STAGE_TIMES names, a line of JSON each stage.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STAGES = ("download", "split", "preprocess", "train", "evaluate")
# The parts of a stage, in the order of the tables.
PARTS = (
    *("start and imports", "building", "first step", "further steps", "batches"),
    *("predicting", "figures", "reading", "writing", "rest", "process exit"),
)
WRITING = (
    *(f"core.files.write_{kind}" for kind in ("bytes", "text", "json")),
    "core.tables.write_table",
)
READING = (
    *("core.tables.read_table", "core.files.read_json"),
    *("data.records.read_schema", "data.records.read_split"),
)
WATCHED = {
    "download": {},
    "split": {},
    "preprocess": {"data.tfrecord.encode": "writing"},
    "train": {
        "training.loop.initial_model": "building",
        "training.loop.compile_phase": "building",
        "training.loop.run_epoch": "batches",
        "model.backend.keras.Model.train_on_batch": "first step",
        "model.saving.predict": "predicting",
        "model.saving.save": "writing",
    },
    "evaluate": {
        "model.saving.load": "building",
        "model.saving.predict": "predicting",
        "report.figures.draw": "figures",
        "report.style.write_png": "figures",
        "report.style.panels_as_svg": "figures",
    },
}
# What a part becomes once it has been charged.
AFTERWARDS = {"first step": "further steps"}


class Clock:
    """Charges every second to one part, the innermost that is open."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: Counter[str] = Counter()
        self._now = now
        self._open = ["rest"]
        self._since = now()

    def charge(self) -> None:
        """Charge what has passed since the last time to the innermost open part."""
        now = self._now()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def charging(self, part: str) -> Iterator[None]:
        """Charge what the block takes to a part, less what other parts in it take."""
        self.charge()
        self._open.append(part)
        try:
            yield
        finally:
            self.charge()
            self._open.pop()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Charge every call of `owner.name` to a part."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            charged = part
            if part in AFTERWARDS and self.seconds[part]:
                charged = AFTERWARDS[part]
            with self.charging(charged):
                return function(*args, **kwargs)

        setattr(owner, name, timed)


def watched(stage: str) -> dict[str, str]:
    """The functions of a stage that are timed, by their names in the package."""
    return {
        **dict.fromkeys(READING, "reading"),
        **dict.fromkeys(WRITING, "writing"),
        **WATCHED[stage],
    }


def resolve(name: str) -> tuple[Any, str]:
    """The object that holds a function, and the function's name in it.

    Args:
        name: such as "training.loop.run_epoch", without the package.
    """
    *path, last = name.split(".")
    package, module, *steps = path
    owner = importlib.import_module(f"ferpipe.{package}.{module}")
    for step in steps:
        owner = getattr(owner, step)
    getattr(owner, last)
    return owner, last


def inside(stage: str, started: float) -> None:
    """Run a stage with timers and record its parts; `started` is when its process was."""
    clock = Clock()
    # As src/stage.py does: the code of the checkout that DVC runs in.
    sys.path[0] = str(Path.cwd() / "src")
    with clock.charging("start and imports"):
        main = importlib.import_module(f"ferpipe.stages.{stage}").main
        if stage == "train":  # before what is watched imports Keras
            choice = importlib.import_module("ferpipe.model.backend_choice")
            reader = importlib.import_module("ferpipe.params.reader")
            choice.choose(reader.read_yaml(Path("params.yaml"))["train"]["backend"])
        for name, part in watched(stage).items():
            clock.watch(*resolve(name), part)
    main()
    finished = time.time()
    clock.charge()
    clock.seconds["start and imports"] += finished - started - clock.seconds.total()
    _record({"stage": stage, "finished": finished, "seconds": dict(clock.seconds)})


def _record(values: dict[str, object]) -> None:
    with Path(os.environ["STAGE_TIMES"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def order(words: list[str]) -> str | None:
    """The stage that a command of dvc.yaml asks for, after its `python`."""
    match words:
        case [_, stage] if stage in STAGES:
            return stage
    return None


def main() -> None:
    """Start the stage in a process of its own, so that its start and exit count too."""
    if len(sys.argv) == 4 and sys.argv[1] == "--inside":
        inside(sys.argv[2], float(sys.argv[3]))
        return
    stage = order(sys.argv[1:])
    if stage is None or "STAGE_TIMES" not in os.environ:
        print(__doc__.partition("\n")[0])
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    started = time.time()
    words = [sys.executable, __file__, "--inside", stage, str(started)]
    code = subprocess.call(words)
    if code == 0:
        _record({"stage": stage, "started": started, "ended": time.time()})
    sys.exit(code)


if __name__ == "__main__":
    main()
