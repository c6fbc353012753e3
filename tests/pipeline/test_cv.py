"""`make cv` as a user runs it: real DVC, with two folds."""

import os
import shutil
import signal

import pandas as pd
import pytest
from checkout import FERPIPE, TINY, Checkout, copy_repository

from ferpipe.core import paths

FOLDS = {"cv/dvc.yaml:cv_fold@1-0", "cv/dvc.yaml:cv_fold@1-1"}
SUMMARY = "cv/dvc.yaml:cv_summary"
AFTER = {"cv/dvc.yaml:cv_baseline", SUMMARY}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two folds, one seed, one epoch: a run that is killed in its second fold, then another."""
    checkout = copy_repository(
        tmp_path_factory.mktemp("cv") / "repo",
        *(TINY, {"train": {"epochs": 1}, "cv": {"seeds": [1], "folds": [0, 1]}}),
    )
    with checkout.start("dvc", "repro", "cv/dvc.yaml", start_new_session=True) as killed:
        for line in killed.stdout:
            if line.startswith("cv_fold: seed 1, fold 1"):
                os.killpg(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    checkout.output = checkout.dvc("repro", "cv/dvc.yaml")
    return checkout


def test_a_killed_run_resumes_with_what_is_missing(finished):
    assert set(finished.stages_run(finished.output)) == {"cv/dvc.yaml:cv_fold@1-1", *AFTER}
    assert "Stage 'cv/dvc.yaml:cv_fold@1-0' didn't change, skipping" in finished.output


def test_a_second_run_runs_nothing_and_git_sees_the_lock_file_alone(finished):
    assert finished.stages_run(finished.dvc("repro", "cv/dvc.yaml")) == []
    status = finished.git("status", "--porcelain", "--untracked-files=all")
    assert "?? cv/dvc.lock\n" in status
    assert "reports/cv" not in status
    assert "data/cv" not in status


def test_every_image_is_predicted_once(finished):
    tested = []
    for fold in (0, 1):
        table = pd.read_csv(finished.path / f"reports/cv/predictions/seed-1-fold-{fold}.csv")
        assert set(table["split"]) == {"val", "test"}
        assert (table["actual"] == table["path"].str.split("/").str[0]).all()
        tested += table.loc[table["split"] == "test", "path"].tolist()
    index = pd.read_csv(finished.path / paths.INDEX)
    assert sorted(tested) == index["path"].tolist()
    assert set(tested) == set(pd.read_csv(finished.path / paths.CV_BASELINE)["path"])


def test_the_summary_is_that_of_the_predictions_and_shown_on_request(finished):
    summary = finished.json("reports/cv/summary.json")
    assert summary["images"] == 6 * 7 * 3
    assert (summary["folds"], summary["seeds"], summary["selected_on_test"]) == (2, 1, False)
    confusion = pd.read_csv(finished.path / "reports/cv/confusion.csv")
    right = confusion.loc[confusion["actual"] == confusion["predicted"], "count"].sum()
    assert summary["accuracy"] == pytest.approx(right / summary["images"], abs=1e-6)
    assert len(summary["params_sha256"]) == 64
    assert "  recall of" in finished.output
    assert len(pd.read_csv(finished.path / "reports/cv/per_class.csv")) == 7
    assert "macro_f1" in finished.dvc("metrics", "show", "reports/cv/summary.json")
    shown = finished.dvc("plots", "show", "reports/cv/confusion.csv", "-t", "confusion", "--json")
    assert '"errors"' not in shown
    assert "Every class in the data's own order" in shown


def changed(checkout):
    """The changed stages of cv/dvc.yaml."""
    lines = checkout.dvc("status", "cv/dvc.yaml").splitlines()
    return {line[:-1] for line in lines if not line.startswith("\t")}


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"train": {"epochs": 2}}, {*FOLDS, SUMMARY}),
        # The summary reads whole sections, for its fingerprint.
        ({"split": {"seed": 9}}, {SUMMARY}),
        ({"split": {"test_size": 0.3}}, {SUMMARY}),
        ({"split": {"folds": 5, "fold": 2}}, {SUMMARY}),
        ({"train": {"seed": 9}}, {SUMMARY}),
        ({"split": {"val_size": 0.3}}, {"cv/dvc.yaml:cv_folds", SUMMARY}),
        ({"split": {"official": "use"}}, {"cv/dvc.yaml:cv_folds", SUMMARY}),
        (
            {"cv": {"folds": [0, 1, 2]}},
            {"cv/dvc.yaml:cv_folds", "cv/dvc.yaml:cv_fold@1-2", SUMMARY},
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_change_of_params_runs_the_stages_that_read_it(finished, change, stages):
    before = finished.params()
    finished.set(change)
    assert changed(finished) == stages
    finished.write_params(before)


def test_another_seed_runs_its_folds_alone(finished):
    before = finished.params()
    finished.set({"cv": {"seeds": [1, 2]}})
    new = {f"cv/dvc.yaml:cv_fold@2-{fold}" for fold in (0, 1)}
    assert changed(finished) == {"cv/dvc.yaml:cv_folds", *new, *AFTER}
    output = finished.dvc("repro", "cv/dvc.yaml:cv_folds")
    assert "cv/dvc.yaml:cv_folds" in finished.stages_run(output)
    # The table of folds has new rows; what the folds of seed 1 read is the same file as before.
    assert not FOLDS & changed(finished)
    finished.write_params(before)
    finished.dvc("repro", "cv/dvc.yaml")


def test_machines_share_the_folds_through_a_remote(finished, tmp_path):
    # Each has the data; the first trains its two folds side by side, each on half of the cores.
    trainers = [Checkout(tmp_path / name) for name in ("first", "second")]
    started = []
    for k, trainer in enumerate(trainers, start=1):
        shutil.copytree(finished.path, trainer.path)
        shutil.rmtree(trainer.path / paths.CV_PREDICTIONS)
        trainer.set({"cv": {"seeds": [1, 2]}})
        trainer.dvc("remote", "add", "--default", "store", str(tmp_path / "remote"))
        started.append(trainer.start("python", "-c", FERPIPE, "cv", "--jobs=2", f"--part={k}/2"))
    for k, process in enumerate(started, start=1):
        assert f"cv: the remote has 2 of the 2 folds of part {k}/2" in process.communicate()[0]
    last = Checkout(tmp_path / "last")
    trainers[0].commit("with a remote")
    trainers[0].git("clone", "-q", str(trainers[0].path), str(last.path))
    output = last.ferpipe("cv", "--pull")
    assert not any("cv_fold@" in stage for stage in last.stages_run(output))
    assert last.json("reports/cv/summary.json")["seeds"] == 2
    assert last.stages_run(last.dvc("repro", "cv/dvc.yaml")) == []
    for fold in (0, 1):
        name = f"seed-1-fold-{fold}.csv"
        trained = finished.path / paths.CV_PREDICTIONS / name
        assert (last.path / paths.CV_PREDICTIONS / name).read_bytes() == trained.read_bytes()
