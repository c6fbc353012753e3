import subprocess
import sys

import numpy as np
import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.sources.sample import drawing
from ferpipe.sources.sample.people import draw_subject


@pytest.fixture
def started(monkeypatch):
    """The processes that draw; they draw also few subjects."""
    monkeypatch.setattr(drawing, "MANY", 1)
    processes = []

    def start(*args):
        processes.append(start_process(*args))
        return processes[-1]

    start_process = drawing._start
    monkeypatch.setattr(drawing, "_start", start)
    return processes


@pytest.mark.parametrize(("workers", "count"), [(2, 5), (3, 3), (3, 2)])
def test_processes_draw_the_subjects_in_their_order(started, workers, count):
    faces = list(drawing.draw_subjects(4, count, workers))
    assert np.array_equal(faces, [draw_subject(4, subject) for subject in range(1, count + 1)])
    assert len(started) == workers
    assert {process.returncode for process in started} == {0}


@pytest.mark.parametrize(("workers", "many"), [(1, 1), (2, 5)])
def test_one_worker_or_few_subjects_start_no_process(started, monkeypatch, workers, many):
    monkeypatch.setattr(drawing, "MANY", many)
    assert len(list(drawing.draw_subjects(4, 3, workers))) == 3
    assert not started


def test_processes_end_with_their_reader(started, capfd):
    faces = drawing.draw_subjects(4, 500, 2)
    next(faces)
    faces.close()
    assert all(process.returncode is not None for process in started)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs sessions")
def test_processes_end_when_their_reader_is_killed(run_python, tmp_path):
    code = (
        "import os, sys\n"
        "from ferpipe.sources.sample import drawing\n"
        "drawing.MANY = 1\n"
        "start = drawing._start\n"
        "ids = []\n"
        "def noted(*args):\n"
        "    ids.append(start(*args))\n"
        "    return ids[-1]\n"
        "drawing._start = noted\n"
        "next(drawing.draw_subjects(1, 500, 2))\n"
        "print(*(process.pid for process in ids), flush=True)\n"
        "os._exit(1)\n"
    )
    done = run_python("-c", code)
    for number in done.stdout.split():
        subprocess.run(["timeout", "20", "tail", f"--pid={number}", "-f", "/dev/null"], check=True)
    assert len(done.stdout.split()) == 2
    assert done.stderr == ""


def test_a_process_that_ends_early_is_an_error(started, monkeypatch):
    monkeypatch.setattr(drawing.sys, "executable", "false")
    with pytest.raises(PipelineError, match=r"has ended early \(exit code 1\); run it again"):
        list(drawing.draw_subjects(4, 3, 2))
