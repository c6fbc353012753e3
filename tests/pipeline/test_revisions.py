"""`ferpipe compare` on revisions of real git and real DVC, of a pipeline that copies its tables."""

import shutil

import pandas as pd
import pytest
from checkout import ROOT, Checkout

from ferpipe.core import paths, tables

DVC_YAML = """\
stages:
  evaluate:
    cmd: cp -r tables/. .
    deps: [tables]
    outs: [reports/predictions.csv, data/split.csv, data/raw/index.csv]
"""
IMAGES = [f"{label}/S{n:03}_001_1.png" for label in ("anger", "happy") for n in range(8)]


def write_tables(checkout, wrong, digest="0" * 64):
    """Write what the pipeline's stage copies; `wrong` are the indices of misclassified images."""
    table = pd.DataFrame({"path": IMAGES, "sha256": digest, "split": "test", "sequence": ""})
    table["label"] = table["actual"] = table["path"].str.split("/").str[0]
    table["subject"] = table["path"].str.extract(r"(S\d+)")[0]
    table["predicted"] = table["actual"]
    other = {"anger": "happy", "happy": "anger"}
    table.loc[list(wrong), "predicted"] = table["actual"].map(other)
    table = table.assign(width=12, height=10, mode="L", pixels_sha256=table["sha256"], part="")
    val = table[:1].assign(path="happy/S999_001_1.png", subject="S999", split="val")
    folder = checkout.path / "tables"
    predictions = table[["path", "actual", "predicted"]]
    tables.write_table(folder / "reports/predictions.csv", predictions)
    split = pd.concat([table, val])[list(paths.SPLIT_COLUMNS)]
    tables.write_table(folder / paths.SPLIT, split)
    tables.write_table(folder / paths.INDEX, table[list(paths.INDEX_COLUMNS)])


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """Commits `empty` (before any run), `first` and `second`, the experiment `third`.

    In `gone` the predictions are of a run that DVC's cache has lost.
    """
    checkout = Checkout(tmp_path_factory.mktemp("compare") / "repo")
    checkout.path.mkdir()
    checkout.environment["PYTHONPATH"] = str(ROOT / "src")
    checkout.git("init", "-q", "-b", "main")
    checkout.dvc("init", "-q")
    shutil.copy(ROOT / "params.yaml", checkout.path)
    (checkout.path / "dvc.yaml").write_text(DVC_YAML)
    (checkout.path / "reports").mkdir()
    (checkout.path / "data/raw").mkdir(parents=True)

    def commit(tag, wrong, run=True):
        write_tables(checkout, wrong)
        if run:
            checkout.dvc("repro", "-q")
        checkout.commit(tag)
        checkout.git("tag", tag)

    commit("empty", [], run=False)
    commit("gone", [15])
    shutil.rmtree(checkout.path / ".dvc/cache")
    commit("first", range(8))
    commit("second", [])
    write_tables(checkout, [9])
    checkout.dvc("exp", "run", "-q", "-n", "third")
    return checkout


@pytest.fixture
def compare(repo):
    """Run `ferpipe compare` there; changes by a test are undone."""
    yield lambda *revisions: repo.ferpipe("compare", *revisions, check=False)
    repo.git("checkout", "-q", "--", ".")
    repo.dvc("checkout", "-q", "--force")


def test_two_commits_are_compared_on_the_same_images(repo, compare):
    lines = compare("first", "second").splitlines()
    assert repo.code == 0
    assert lines[:2] == [
        "first: 8 of 16 test images correct",
        "second: 16 of 16 test images correct",
    ]
    assert ["anger", "8", "0", "8", "+8"] in [line.split() for line in lines]
    assert "  anger/S003_001_1.png: was happy, is now anger" in lines
    assert lines[-1].startswith("The difference is significant: by chance alone 0.0078 of ")
    assert "on 8 images: p = 0.0078; sign-flip test on their 8 people" in lines[-1]


def test_an_experiment_is_a_revision_by_its_name(repo, compare):
    lines = compare("third", "second").splitlines()
    assert lines[:2] == [
        "third: 15 of 16 test images correct",
        "second: 16 of 16 test images correct",
    ]
    assert lines[-1].startswith("The difference is not significant: by chance alone ")


def test_the_workspace_is_compared_with_the_last_commit_or_a_revision(repo, compare):
    write_tables(repo, [0, 1])
    repo.dvc("repro", "-q")
    workspace = "workspace: 14 of 16 test images correct"
    assert compare().splitlines()[:2] == ["HEAD: 16 of 16 test images correct", workspace]
    assert compare("first").splitlines()[:2] == ["first: 8 of 16 test images correct", workspace]


def test_other_images_of_the_same_names_cannot_be_compared(repo, compare):
    write_tables(repo, [], digest="1" * 64)
    repo.dvc("repro", "-q")
    last = compare().splitlines()[-1]
    assert repo.code == 0
    assert last.startswith("The test sets differ (16 in both by name, but other images; 16 names ")


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("nosuch", "there is no revision or experiment 'nosuch'; `git log` and `dvc exp show` "),
        ("empty", "empty has no reports/predictions.csv: the pipeline had not run there\n"),
        ("gone", "reports/predictions.csv of gone is neither in DVC's cache nor in a remote any "),
        (None, "workspace has no reports/predictions.csv; run `dvc repro`, which makes it\n"),
    ],
)
def test_a_revision_that_cannot_be_read_is_one_line(repo, compare, revision, message):
    (repo.path / "reports/predictions.csv").unlink()
    output = compare(*([revision, "second"] if revision else []))
    assert repo.code == 1
    assert output.startswith(f"ferpipe: error: {message}")
    assert output.count("\n") == 1


def test_a_folder_without_git_and_dvc_is_one_line(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    alone = Checkout(tmp_path)
    alone.environment["PYTHONPATH"] = str(ROOT / "src")
    output = alone.ferpipe("compare", check=False)
    message = "this is not a repository of Git and DVC; clone the project"
    assert (alone.code, output) == (1, f"ferpipe: error: {message}\n")
