"""A few of the kills of `make torture`, on a tiny experiment."""

import random
import signal

import pytest
from checkout import STAGES, TINY
from torture import Torture, summary

# Each target, and each signal, at a stage of its own.
KILLS = [
    ("download", "stage", signal.SIGTERM),
    ("preprocess", "group", signal.SIGINT),
    ("train", "dvc", signal.SIGKILL),
    ("train", "stage", signal.SIGKILL),
    ("evaluate", "dvc", signal.SIGTERM),
]


@pytest.fixture(scope="module")
def torture(tmp_path_factory):
    # Long enough that a kill falls between two checkpoints.
    changes = TINY | {"train": TINY["train"] | {"epochs": 6}}
    return Torture(tmp_path_factory.mktemp("torture"), changes)


@pytest.mark.parametrize(("stage", "target", "number"), KILLS)
def test_a_rerun_after_a_kill_gives_the_bytes_of_a_whole_run(torture, stage, target, number):
    moment = random.Random(f"{stage} {target}").uniform(0.2, 0.8)
    kill = torture.kill(stage, target, number, moment)
    assert kill.problems == [], kill.output
    counts = (1, not kill.hit, kill.resumed, kill.damaged, 1)
    last = summary([kill]).splitlines()[-1]
    assert last.split() == ["all", *(str(int(count)) for count in counts)]


def test_other_bytes_than_those_of_a_whole_run_are_a_problem(torture):
    path = next(path for path in torture.whole if path.name == "metrics.json")
    torture.whole[path] = "another digest"
    kill = torture.kill(STAGES[-1], "group", signal.SIGTERM, 0.1)
    assert kill.problems == ["other bytes: reports/metrics.json"]
