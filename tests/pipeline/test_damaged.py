"""DVC's own files, truncated as a killed DVC leaves them."""

import shutil

import pytest

from ferpipe.tools import damaged_dvc_files


@pytest.fixture
def repo(finished, monkeypatch):
    """The finished checkout; its files are as before when the test ends."""
    lock = finished.path / "dvc.lock"
    whole = lock.read_bytes()
    monkeypatch.chdir(finished.path)
    yield finished
    lock.write_bytes(whole)
    shutil.rmtree(finished.path / ".ferpipe/damaged", ignore_errors=True)


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.31, 0.5, 0.77, 0.99])
def test_no_stage_runs_again_after_a_truncated_lock(repo, fraction):
    lock = repo.path / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[: int(fraction * len(whole))])
    damaged_dvc_files.move_aside()
    assert repo.stages_run(repo.dvc("repro")) == []
    assert lock.read_bytes() == whole


@pytest.mark.parametrize(
    "text", ["", "stages:", "schema: '2.0'\nstages:\n  split:\n    cmd: x\n    de"]
)
def test_check_moves_aside_and_names_a_lock_that_dvc_refuses(repo, text):
    lock = repo.path / "dvc.lock"
    lock.write_text(text)
    repo.dvc("repro", "--dry", check=False)
    assert repo.code == 255
    output = repo.ferpipe("check")
    assert "dvc.lock was damaged when DVC was killed: moved to .ferpipe/damaged" in output
    assert not lock.exists()
    assert (repo.path / ".ferpipe/damaged/dvc.lock").read_text() == text


def test_a_whole_lock_and_one_with_merge_conflicts_stay(repo):
    lock = repo.path / "dvc.lock"
    whole = lock.read_text()
    for text in (whole, whole.replace("stages:\n", "<<<<<<< HEAD\nstages:\n", 1)):
        lock.write_text(text)
        assert damaged_dvc_files.move_aside() == []
        assert lock.read_text() == text


@pytest.mark.parametrize("text", ["", '{"a": {"write"', "[]"])
def test_a_damaged_rwlock_is_moved_aside(repo, text):
    damaged_dvc_files.RWLOCK.write_text(text)
    assert damaged_dvc_files.move_aside() == [damaged_dvc_files.RWLOCK]
    assert "up to date" in repo.dvc("repro")
