import time

import pytest

from ferpipe.core import machine
from ferpipe.runtime import run_log


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """Three runs in a folder of their own, a torn line between them."""
    monkeypatch.chdir(tmp_path)
    now = time.time()
    run_log.note("split", now - 2, 0)
    with run_log.RUNS.open("a") as file:
        file.write('{"stage": "tra\n')
    run_log.note("train", now - 75, 1)
    run_log.note("fold-1-3", now, 143)
    return run_log.read()


def test_runs_are_read_in_their_order_and_a_torn_line_is_left_out(noted):
    assert [(run.stage, run.outcome) for run in noted] == [
        ("split", "done"),
        ("train", "failed"),
        ("fold-1-3", "stopped"),
    ]
    assert noted[1].seconds == pytest.approx(75, abs=5)


def test_the_table_has_a_line_a_run_in_straight_columns(noted):
    head, *lines = run_log.table(noted).splitlines()
    assert head.split() == ["started", "(UTC)", "stage", "seconds", "outcome", "machine"]
    assert [line.split()[2:5:2] for line in lines] == [
        ["split", "done"],
        ["train", "failed"],
        ["fold-1-3", "stopped"],
    ]
    column = head.index("outcome")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)
    assert all(f"{machine.cores()} x " in line for line in lines)


def test_where_nothing_ran_there_is_nothing_to_read(tmp_path):
    assert run_log.read(tmp_path / "runs.jsonl") == []
