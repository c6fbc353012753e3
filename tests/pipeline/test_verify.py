"""`ferpipe verify` on a repository of stages that take no time: real git, real DVC."""

import shutil

import pytest
from checkout import ROOT, Checkout

from ferpipe.core.errors import PipelineError
from ferpipe.tools import verify

STAGES = ("download", "split", "preprocess", "train", "evaluate")


@pytest.fixture
def repository(tmp_path, capsys):
    """A function: a committed repository whose five stages run these shell commands."""

    def make(**commands):
        checkout = Checkout(tmp_path / "repo")
        (checkout.path / "data/local").mkdir(parents=True)
        (checkout.path / "data/local/README.md").touch()
        for name in ("params.yaml", "presets", ".dvc/config", ".dvc/.gitignore", "src"):
            source, target = ROOT / name, checkout.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        (checkout.path / ".gitignore").write_text("/*.txt\n__pycache__/\n")
        lines, before = ["stages:"], "params.yaml"
        for stage in STAGES:
            command = commands.get(stage, f"echo {stage} > {stage}.txt")
            lines += [f"  {stage}:", f"    cmd: {command}", f"    deps: [{before}]"]
            lines += [f"    outs: [{stage}.txt]"]
            before = f"{stage}.txt"
        (checkout.path / "dvc.yaml").write_text("\n".join(lines) + "\n")
        checkout.git("init", "-q")
        checkout.dvc("repro", check=False)
        checkout.git("add", "-A")
        checkout.git("commit", "-q", "-m", "all")
        return checkout

    def run(preset=None, *, change=None, **commands):
        checkout = make(**commands)
        if change:
            change(checkout)
        folder = tmp_path / "clones"
        folder.mkdir()
        return verify.verify(checkout.path, folder, preset)

    return run


def cells(rows, name):
    (row,) = [row for row in rows if row[0] == name]
    return row[2:]


def test_data_must_be_as_committed_and_training_may_follow_the_processor(repository):
    def other_lock(checkout):
        lock = checkout.path / "dvc.lock"
        text = lock.read_text()
        for name in ("split", "train"):
            digest = text.split(f"path: {name}.txt")[-1].split("md5: ")[1].split()[0]
            text = text.replace(digest, "a" * 32)
        lock.write_text(text)
        checkout.git("commit", "-q", "-a", "-m", "of another machine")

    rows, good = repository(change=other_lock)
    assert cells(rows, "download.txt") == ("same", "same", "same", "same")
    assert cells(rows, "split.txt") == ("same", "same", "same", "DIFFERS")
    assert cells(rows, "train.txt *") == ("same", "same", "-", "other processor")
    assert cells(rows, "evaluate.txt *") == ("same", "same", "-", "same")
    assert cells(rows, "dvc.lock") == ("same", "same", "same", "-")
    assert not good


def test_what_follows_moment_folder_or_environment_is_found(repository):
    rows, good = repository(
        download="pwd > download.txt",
        split="umask > split.txt",
        preprocess="echo $NPY_DISABLE_CPU_FEATURES > preprocess.txt",
        train="date +%N > train.txt",
        evaluate="echo $LC_ALL $TZ $TMPDIR $PYTHONHASHSEED > evaluate.txt",
    )
    assert cells(rows, "download.txt")[:3] == ("DIFFERS", "same", "DIFFERS")
    assert cells(rows, "split.txt")[:3] == ("DIFFERS", "same", "DIFFERS")
    assert cells(rows, "preprocess.txt")[:3] == ("same", "same", "DIFFERS")
    assert cells(rows, "train.txt *")[:3] == ("DIFFERS", "DIFFERS", "-")
    assert cells(rows, "evaluate.txt *")[:3] == ("DIFFERS", "same", "-")
    assert not good


def test_with_a_preset_there_is_nothing_committed_to_compare_with(repository):
    rows, good = repository("sample")
    assert good
    assert {row[-1] for row in rows} == {"-"}


def test_a_run_that_fails_is_told_with_what_it_said_last(repository, capsys):
    with pytest.raises(PipelineError, match=r"dvc repro failed in .*first; what it said last"):
        repository(split="echo the reason; false")
    assert "the reason" in capsys.readouterr().err


def test_without_a_repository_there_is_nothing_to_verify(tmp_path):
    with pytest.raises(PipelineError, match="is no git repository; clone this project with git"):
        verify.run(tmp_path, None, keep=False)
