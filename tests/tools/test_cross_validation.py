"""Folds side by side, with real DVC and folds that take no time."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.tools import cross_validation, shared_folds, slots
from ferpipe.tools.cross_validation import Fold, part_of

FOLDS = [Fold(seed, fold) for seed in (1, 2) for fold in (0, 1)]
# Waits, if it is told to, until another fold runs; fails if it is told to.
FOLD = """
import os, pathlib, sys, time
seed, fold = sys.argv[1:]
pathlib.Path(f"started-{seed}-{fold}").write_text(str(os.getpid()))
other = pathlib.Path(f"started-{seed}-{1 - int(fold)}")
while pathlib.Path("together").exists() and not other.exists():
    time.sleep(0.05)
while pathlib.Path("hang").exists():
    time.sleep(0.05)
if pathlib.Path(f"bad-{seed}-{fold}").exists() or pathlib.Path("bad").exists():
    sys.exit("cv_fold: error: no such luck")
pathlib.Path(f"{seed}-{fold}.csv").write_text(f"{seed} {fold}")
print("cv_fold: 7 of 9 test images correct; all in a file")
"""
STAGES = """
stages:
  cv_fold:
    matrix: {seed: [1, 2], fold: [0, 1]}
    wdir: ..
    cmd: python fold.py ${item.seed} ${item.fold}
    deps: [fold.py]
    outs: ["${item.seed}-${item.fold}.csv": {cache: false}]
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "none"))
    (tmp_path / "cv").mkdir()
    (tmp_path / "cv/dvc.yaml").write_text(STAGES)
    (tmp_path / "fold.py").write_text(FOLD)
    dvc("init", "--no-scm", "-q")
    return tmp_path


def dvc(*words):
    subprocess.run([sys.executable, "-m", "dvc", *words], check=True)


def up_to_date():
    return [fold for fold in FOLDS if fold.stage not in cross_validation._changed()]


@pytest.mark.slow
def test_folds_run_side_by_side_and_dvc_has_nothing_to_do_afterwards(repository, capsys):
    (repository / "together").touch()  # of a seed, none ends before the other has begun
    assert cross_validation.train(FOLDS, jobs=2) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("cv: 0 of 4 folds are done; 4 to train, 2 at a time; ")
    assert [line[:15] for line in printed[1:]] == [f"cv: {n} of 4 done" for n in (1, 2, 3, 4)]
    assert printed[-1].endswith(": 7 of 9 test images correct")
    assert up_to_date() == FOLDS
    cross_validation.train(FOLDS, jobs=2)
    assert capsys.readouterr().out == "cv: all 4 folds are up to date\n"


@pytest.mark.slow
def test_a_fold_that_fails_is_one_line_and_the_others_are_kept(repository, capsys):
    (repository / "bad-1-0").touch()
    assert cross_validation.train(FOLDS, jobs=2) == 1
    assert "cv: FAILED: seed 1, fold 0: no such luck\n" in capsys.readouterr().out
    assert up_to_date() == FOLDS[1:]


@pytest.mark.slow
def test_folds_that_all_fail_end_early(repository, capsys):
    (repository / "bad").touch()
    assert cross_validation.train(FOLDS, jobs=1) == 2
    assert capsys.readouterr().out.count("FAILED") == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_folds_and_leaves_dvc_whole(repository, number, root):
    (repository / "hang").touch()
    code = f"""
import sys; sys.path.insert(0, {str(root / "src")!r})
from ferpipe.core.errors import exits_cleanly
from ferpipe.tools.cross_validation import Fold, train
exits_cleanly("ferpipe")(train)([Fold(1, 0), Fold(1, 1)], jobs=2)
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        while len(pids := [path.read_text() for path in repository.glob("started-*")]) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        try:
            assert process.wait(timeout=60) == 128 + number
        finally:
            process.kill()  # or leaving the block would wait for it
        assert process.stderr.read() in (b"", b"ferpipe: interrupted\n")
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    (repository / "hang").unlink()
    cross_validation.train([Fold(1, 1)], jobs=2)
    assert up_to_date() == [Fold(1, 1)]


@pytest.mark.slow
def test_without_a_remote_nothing_is_trained(repository):
    with pytest.raises(PipelineError, match=r"^DVC has no default remote .*docs/remotes.md"):
        shared_folds.check_remote()


@pytest.mark.slow
def test_folds_that_were_pushed_are_restored_elsewhere(repository, tmp_path_factory, monkeypatch):
    remote, elsewhere = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("elsewhere")
    dvc("remote", "add", "-q", "--default", "store", str(remote))
    assert cross_validation.train(FOLDS[:2], jobs=2) == 0
    shared_folds.push([fold.stage for fold in FOLDS[:2]])
    shutil.copytree(repository, elsewhere, dirs_exist_ok=True)
    for path in ("cv/dvc.lock", "1-0.csv", "1-1.csv", ".dvc/cache/files"):
        path = elsewhere / path
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "1-1.csv").write_text("of another experiment")
    shared_folds.restore([fold.stage for fold in FOLDS])
    assert sorted(path.name for path in elsewhere.glob("*.csv")) == ["1-0.csv", "1-1.csv"]
    assert (elsewhere / "1-1.csv").read_text() == "1 1"
    (elsewhere / "bad").touch()  # so nothing can be trained here
    assert cross_validation.train(FOLDS[:2], jobs=2) == 0
    assert up_to_date() == FOLDS[:2]


def test_parts_are_disjoint_and_cover_all_folds():
    folds = [Fold(1, fold) for fold in range(10)]
    parts = [part_of(folds, f"{k}/3") for k in (1, 2, 3)]
    assert [len(part) for part in parts] == [4, 3, 3]
    assert sorted([fold for part in parts for fold in part], key=folds.index) == folds
    assert part_of(folds, None) == part_of(folds, "1/1") == folds


@pytest.mark.parametrize(
    "part", ["0/3", "4/3", "1/0", "1/11", "1", "a/b", "1/3/3", "-1/3", "1.0/3"]
)
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(PipelineError, match=rf"^--part {part}: should be K/N"):
        part_of([Fold(1, fold) for fold in range(10)], part)


def test_cores_and_gpus_are_shared_out(monkeypatch):
    monkeypatch.setattr(slots.os, "sched_getaffinity", lambda pid: {0, 1, 2, 5, 6}, raising=False)
    assert [slots.cores(slot, 2) for slot in (0, 1)] == [[0, 1], [2, 5, 6]]
    assert [slots.cores(slot, 5) for slot in range(5)] == [[0], [1], [2], [5], [6]]
    assert all(len(slots.cores(slot, 8)) == 1 for slot in range(8))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    chosen = [slots.one_gpu(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)]
    assert chosen == ["2", "3", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert slots.one_gpu(1) == {}
