import time

import pytest

from ferpipe.core import machine
from ferpipe.runtime import run_log


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three runs, with an incomplete line between them."""
    monkeypatch.chdir(tmp_path)
    now = time.time()
    run_log.note("split", now - 2, 0)
    with run_log.RUNS.open("a") as file:
        file.write('{"stage": "tra\n')
    run_log.note("train", now - 75, 1)
    run_log.note("fold-1-3", now, 143)
    return run_log.read()


def test_runs_are_read_in_order_without_incomplete_lines(runs):
    expected = [("split", "done"), ("train", "failed"), ("fold-1-3", "stopped")]
    assert [(run.stage, run.outcome) for run in runs] == expected
    assert runs[1].seconds == pytest.approx(75, abs=5)


def test_the_table_has_one_line_per_run_with_aligned_columns(runs):
    head, *lines = run_log.table(runs).splitlines()
    assert head.split() == ["started", "(UTC)", "stage", "seconds", "outcome", "machine"]
    column = head.index("outcome")
    assert [line[column:].split()[0] for line in lines] == ["done", "failed", "stopped"]
    assert all(f"{machine.cores()} x " in line for line in lines)


def test_a_missing_log_is_empty(tmp_path):
    assert run_log.read(tmp_path / "runs.jsonl") == []
