import functools
import itertools
import math
import operator
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from ferpipe.core import processes, threads
from ferpipe.core.errors import PipelineError

WHOLE = threads.MOST_BYTES  # of an item that is a piece of work by itself


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    found = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return found


def ordered(function, items, workers=2, size=1):
    return processes.ordered(function, items, lambda _: size, workers)


@pytest.mark.parametrize(("workers", "count"), [(2, 0), (2, 1), (3, 1000)])
def test_results_are_in_the_order_of_the_items(started, workers, count):
    items = np.arange(2 * count).reshape(count, 2)
    found = list(ordered(functools.partial(operator.mul, 3), iter(items), workers))
    assert np.array_equal(np.reshape(found, items.shape), 3 * items)
    assert len(started) == workers
    assert {process.returncode for process in started} == {0}


def test_only_the_processes_compute(started):
    # The process group of each is its own.
    assert set(ordered(os.getpgid, [0] * 20, size=WHOLE)) <= {process.pid for process in started}


def test_one_worker_per_core_by_default(started, monkeypatch):
    monkeypatch.setattr(processes.machine, "cores", lambda: 3)
    assert list(ordered(abs, [-1], workers=0)) == [1]
    assert len(started) == 3


def test_items_are_read_a_few_pieces_ahead():
    read = itertools.count()
    results = ordered(abs, (next(read) for _ in range(10**6)))
    next(results)
    assert next(read) <= 8 * threads.MOST_ITEMS
    results.close()


def test_an_error_of_the_function_comes_after_the_results_of_earlier_pieces():
    results = ordered(math.sqrt, [4, 9, -1, 4], size=WHOLE)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ValueError, match="math domain error") as caught:
        next(results)
    assert "Traceback" in caught.value.__notes__[0]


def test_what_the_function_prints_is_no_result(capfd):
    assert list(ordered(print, ["a face"])) == [None]
    assert capfd.readouterr() == ("", "a face\n")


def test_processes_end_with_their_reader(started, capfd):
    results = ordered(abs, itertools.count())
    next(results)
    results.close()
    assert {process.returncode for process in started} == {0}
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs sessions")
@pytest.mark.parametrize("pieces", ["[b'']", "[b'0' * 10**6] * 3"], ids=["waiting", "writing"])
def test_processes_end_when_their_reader_is_killed(run_python, pieces):
    code = (
        "import os, subprocess\n"
        "from ferpipe.core import processes\n"
        "start, ids = subprocess.Popen, []\n"
        "def noted(*args, **kwargs):\n"
        "    process = start(*args, **kwargs)\n"
        "    ids.append(process.pid)\n"
        "    return process\n"
        "subprocess.Popen = noted\n"
        f"next(processes.ordered(len, {pieces} * 100, lambda _: {WHOLE}, 2))\n"
        "print(*ids, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = run_python("-c", code)
    for number in done.stdout.split():
        subprocess.run(["timeout", "20", "tail", f"--pid={number}", "-f", "/dev/null"], check=True)
    assert len(done.stdout.split()) == 2
    assert done.stderr == ""


def test_a_process_that_is_killed_is_an_error(started):
    with pytest.raises(PipelineError, match=r"has ended early \(exit code -9\); run it again"):
        list(ordered(signal.raise_signal, [signal.SIGKILL]))
    assert all(process.returncode is not None for process in started)


def test_a_process_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr(processes.sys, "executable", "false")
    with pytest.raises(PipelineError, match=r"has ended early \(exit code 1\)"):
        list(ordered(abs, [b"0" * 10**6]))
