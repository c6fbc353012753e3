"""`make cv` as a user runs it: real DVC, with two folds instead of ten."""

import csv
import os
import signal
import subprocess

import pytest
from checkout import TINY, Checkout, copy_tracked

from ferpipe.core import paths

FOLDS = ["cv/dvc.yaml:cv_fold@1-0", "cv/dvc.yaml:cv_fold@1-1"]
AFTER = ["cv/dvc.yaml:cv_baseline", "cv/dvc.yaml:cv_summary"]


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A checkout in which nothing has run, with two folds, one seed and one epoch."""
    checkout = Checkout(tmp_path_factory.mktemp("cv") / "repo")
    copy_tracked(checkout.path)
    replace(checkout.path / "src/ferpipe/data/folds.py", "FOLDS = 10\n", "FOLDS = 2\n")
    replace(checkout.path / "cv/dvc.yaml", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "[0, 1]")
    checkout.set({**TINY, "cv": {"seeds": [1]}})
    checkout.set({"train": {"epochs": 1}})
    (checkout.path / "reports").mkdir()
    (checkout.path / "reports/.gitignore").write_text("/cv\n")
    checkout.git("init", "-q", "-b", "main")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "tiny")
    return checkout


@pytest.fixture(scope="module")
def finished(fresh):
    """The checkout after a run that is killed in its second fold, and another that ends."""
    killed = subprocess.Popen(
        ["dvc", "repro", "cv/dvc.yaml"],
        cwd=fresh.path,
        env=fresh.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with killed:
        for line in killed.stdout:
            if line.startswith("cv_fold: seed 1, fold 1"):
                os.killpg(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    fresh.output = fresh.dvc("repro", "cv/dvc.yaml")
    return fresh


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_that_was_killed_goes_on_with_what_is_missing(finished):
    assert set(finished.stages_run(finished.output)) == {FOLDS[1], *AFTER}
    assert f"Stage '{FOLDS[0]}' didn't change, skipping" in finished.output


def test_a_second_run_runs_nothing(finished):
    assert finished.stages_run(finished.dvc("repro", "cv/dvc.yaml")) == []


def test_every_image_is_predicted_once(finished):
    index = {row["path"] for row in rows(finished.path / paths.INDEX)}
    tests = []
    for fold in (0, 1):
        table = rows(finished.path / f"reports/cv/predictions/seed-1-fold-{fold}.csv")
        assert {row["split"] for row in table} == {"val", "test"}
        assert all(row["actual"] == row["path"].split("/")[0] for row in table)
        tests += [row["path"] for row in table if row["split"] == "test"]
    assert len(tests) == len(set(tests))
    assert set(tests) == index == {row["path"] for row in rows(finished.path / paths.CV_BASELINE)}


def test_the_summary_is_that_of_the_predictions(finished):
    found = finished.json("reports/cv/summary.json")
    assert found["images"] == 6 * 7 * 3
    assert (found["folds"], found["seeds"], found["selected_on_test"]) == (2, 1, False)
    counts = rows(finished.path / "reports/cv/confusion.csv")
    right = sum(int(row["count"]) for row in counts if row["actual"] == row["predicted"])
    assert found["accuracy"] == pytest.approx(right / found["images"], abs=1e-6)
    assert len(found["params_sha256"]) == 64
    assert "  recall of" in finished.output
    assert len(rows(finished.path / "reports/cv/per_class.csv")) == 7


def test_numbers_and_plots_are_shown_when_asked_for(finished):
    assert "macro_f1" in finished.dvc("metrics", "show", "reports/cv/summary.json")
    shown = finished.dvc("plots", "show", "reports/cv/confusion.csv", "-t", "confusion", "--json")
    assert '"errors"' not in shown
    assert "Every class in the data's own order" in shown


def test_git_sees_the_lock_file_and_no_output(finished):
    status = finished.git("status", "--porcelain", "--untracked-files=all")
    assert "?? cv/dvc.lock\n" in status
    assert "reports/cv" not in status


def changed_by(checkout, changes):
    """The stages that a change of params.yaml would run, once those before them have run."""
    before = (checkout.path / "params.yaml").read_text()
    checkout.set(changes)
    output = checkout.dvc("status", "cv/dvc.yaml")
    (checkout.path / "params.yaml").write_text(before)
    return {line[:-1] for line in output.splitlines() if not line.startswith("\t")}


def test_another_seed_runs_its_folds_alone(finished):
    folds = {f"cv/dvc.yaml:cv_fold@2-{fold}" for fold in (0, 1)}
    assert changed_by(finished, {"cv": {"seeds": [1, 2]}}) == {
        "cv/dvc.yaml:cv_folds",
        *folds,
        *AFTER,
    }
    before = (finished.path / "params.yaml").read_text()
    finished.set({"cv": {"seeds": [1, 2]}})
    output = finished.dvc("repro", "cv/dvc.yaml:cv_folds")
    assert "cv/dvc.yaml:cv_folds" in finished.stages_run(output)
    # The folds of seed 1 are the same file as before.
    assert not set(FOLDS) & set(finished.dvc("status", "cv/dvc.yaml").replace(":\n", "\n").split())
    (finished.path / "params.yaml").write_text(before)
    finished.dvc("repro", "cv/dvc.yaml")


def test_a_change_of_train_runs_the_folds_and_not_the_baseline(finished):
    assert changed_by(finished, {"train": {"epochs": 2}}) == {*FOLDS, "cv/dvc.yaml:cv_summary"}


@pytest.mark.parametrize(
    "change",
    [
        *({"split": {"seed": 9}}, {"split": {"test_size": 0.3}}, {"train": {"seed": 9}}),
        {"split": {"folds": 5, "fold": 2}},
    ],
    ids=str,
)
def test_what_the_folds_replace_runs_no_fold(finished, change):
    # The summary reads whole sections, for its fingerprint, and comes out the same.
    assert changed_by(finished, change) == {"cv/dvc.yaml:cv_summary"}


def test_a_change_of_val_size_assigns_the_folds_anew(finished):
    assert "cv/dvc.yaml:cv_folds" in changed_by(finished, {"split": {"val_size": 0.3}})
