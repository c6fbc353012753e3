"""`ferpipe compare` on revisions of real git and real DVC, of a pipeline that copies its tables."""

import shutil
import sys

import pytest
from checkout import ROOT, Checkout

from ferpipe.core import files, paths

DVC_YAML = """\
stages:
  evaluate:
    cmd: cp -r tables/. .
    deps: [tables]
    outs: [reports/predictions.csv, data/split.csv, data/raw/index.csv]
"""
PATHS = [f"{label}/S{who:03}_001_1.png" for label in ("anger", "happy") for who in range(8)]


def write_tables(checkout, wrong, images=PATHS, digest="0" * 64):
    """What the pipeline's copy makes; `wrong` are the numbers of the images taken for others."""
    folder = checkout.path / "tables"
    label = {path: path.split("/")[0] for path in images}
    other = {"anger": "happy", "happy": "anger"}
    predicted = [
        (path, label[path], other[label[path]] if number in wrong else label[path])
        for number, path in enumerate(images)
    ]
    header = ("path", "actual", "predicted")
    files.write_csv(folder / "reports/predictions.csv", header, predicted)
    split = [(path, label[path], path.split("/")[1][:4], "", "test") for path in images]
    split.append(("happy/S999_001_1.png", "happy", "S999", "", "val"))
    files.write_csv(folder / paths.SPLIT, paths.SPLIT_COLUMNS, split)
    index = [(path, label[path], 12, 10, "L", digest) for path in images]
    files.write_csv(folder / paths.INDEX, paths.INDEX_COLUMNS, index)


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """Commits `empty` (before any run), `first` and `second`, the experiment `third`.

    In `gone` the predictions are of a run that DVC's cache has lost.
    """
    checkout = Checkout(tmp_path_factory.mktemp("compare") / "repo")
    checkout.path.mkdir()
    checkout.environment["PYTHONPATH"] = str(ROOT / "src")
    checkout.git("init", "-q", "-b", "main")
    checkout.git("config", "user.name", "t")
    checkout.git("config", "user.email", "t@t.example")
    checkout.dvc("init", "-q")
    shutil.copy(ROOT / "params.yaml", checkout.path)
    (checkout.path / "dvc.yaml").write_text(DVC_YAML)
    (checkout.path / "reports").mkdir()
    (checkout.path / "data/raw").mkdir(parents=True)

    def commit(tag, wrong, run=True):
        write_tables(checkout, wrong)
        if run:
            checkout.dvc("repro", "-q")
        checkout.git("add", "-A")
        checkout.git("commit", "-q", "-m", tag)
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
    """Run `ferpipe compare` there; what a test changes is taken back."""

    def run(*revisions):
        command = "from ferpipe.tools.cli import main; main()"
        return repo.run(sys.executable, "-c", command, "compare", *revisions, check=False)

    yield run
    repo.git("checkout", "-q", "--", ".")
    repo.dvc("checkout", "-q", "--force")


def test_two_commits_are_compared_on_the_same_images(repo, compare):
    lines = compare("first", "second").splitlines()
    assert repo.code == 0
    assert lines[:2] == ["first: 8 of 16 test images right", "second: 16 of 16 test images right"]
    assert "anger          8       0       8  +8" in lines
    assert "  anger/S003_001_1.png: taken for happy, now for anger" in lines
    assert lines[-1].startswith("The difference can be believed: chance alone gives one as large ")
    assert "on 8 images: p = 0.0078; on the 8 people" in lines[-1]


def test_an_experiment_is_a_revision_by_its_name(repo, compare):
    lines = compare("third", "second").splitlines()
    assert lines[:2] == ["third: 15 of 16 test images right", "second: 16 of 16 test images right"]
    assert lines[-1].startswith("The difference cannot be believed: chance alone gives one as ")


def test_without_revisions_the_workspace_is_compared_with_the_last_commit(repo, compare):
    write_tables(repo, [0, 1])
    repo.dvc("repro", "-q")
    assert compare().splitlines()[:2] == [
        *("HEAD: 16 of 16 test images right", "workspace: 14 of 16 test images right"),
    ]
    assert compare("first").splitlines()[:2] == [
        *("first: 8 of 16 test images right", "workspace: 14 of 16 test images right"),
    ]


def test_the_same_names_with_other_images_are_no_same_test(repo, compare):
    write_tables(repo, [], digest="1" * 64)
    repo.dvc("repro", "-q")
    last = compare().splitlines()[-1]
    assert repo.code == 0
    assert last.startswith("The test sets differ (16 in both by name, but other images; 16 names ")


def test_a_split_of_other_images_is_no_same_test(repo, compare):
    write_tables(repo, [], images=PATHS[2:])
    repo.dvc("repro", "-q")
    assert "The test sets differ (2 only in HEAD; 14 names in both)" in compare()


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("nosuch", "there is no revision or experiment 'nosuch'; `git log` and `dvc exp show` "),
        ("empty", "empty has no reports/predictions.csv: the pipeline had not run there\n"),
        ("gone", "gone made reports/predictions.csv, but neither DVC's cache nor a remote holds "),
    ],
)
def test_a_revision_that_cannot_be_read_is_told_in_a_line(repo, compare, revision, message):
    output = compare(revision, "second")
    assert repo.code == 1
    assert output.startswith(f"ferpipe: error: {message}")
    assert output.count("\n") == 1


def test_a_workspace_without_predictions_is_told_in_a_line(repo, compare):
    (repo.path / "reports/predictions.csv").unlink()
    assert compare() == (
        "ferpipe: error: workspace has no reports/predictions.csv; run `dvc repro`, which makes "
        "it\n"
    )


def test_a_folder_without_git_and_dvc_is_told_in_a_line(repo, compare, tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    alone = Checkout(tmp_path)
    alone.environment["PYTHONPATH"] = str(ROOT / "src")
    command = "from ferpipe.tools.cli import main; main()"
    output = alone.run(sys.executable, "-c", command, "compare", check=False)
    assert (alone.code, output) == (
        1,
        "ferpipe: error: revisions need a repository of Git and DVC, which this is not\n",
    )
