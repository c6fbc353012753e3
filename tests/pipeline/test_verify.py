"""`ferpipe verify` on a repository of stages that take no time: real git, real DVC."""

import pytest
from checkout import STAGES, copy_repository

from ferpipe.core.errors import PipelineError
from ferpipe.tools import verify


@pytest.fixture
def verified(tmp_path):
    """A function: verify a committed repository whose stages run these shell commands."""

    def run(preset=None, *, change=None, **commands):
        checkout = copy_repository(tmp_path / "repo")
        with (checkout.path / ".gitignore").open("a") as file:
            file.write("/*.txt\n")
        lines, before = ["stages:"], "params.yaml"
        for stage in STAGES:
            command = commands.get(stage, f"echo {stage} > {stage}.txt")
            lines += [f"  {stage}:", f"    cmd: {command}", f"    deps: [{before}]"]
            lines += [f"    outs: [{stage}.txt]"]
            before = f"{stage}.txt"
        (checkout.path / "dvc.yaml").write_text("\n".join(lines) + "\n")
        checkout.dvc("repro", check=False)
        checkout.commit("short stages")
        if change:
            change(checkout)
        folder = tmp_path / "clones"
        folder.mkdir()
        return verify.verify(checkout.path, folder, preset)

    return run


def cells(rows, name):
    (row,) = [row for row in rows if row[0] == name]
    return row[2:]


def test_data_must_be_as_committed_and_training_may_depend_on_the_processor(verified):
    def other_lock(checkout):
        lock = checkout.path / "dvc.lock"
        text = lock.read_text()
        for name in ("split", "train"):
            digest = text.split(f"path: {name}.txt")[-1].split("md5: ")[1].split()[0]
            text = text.replace(digest, "a" * 32)
        lock.write_text(text)
        checkout.commit("of another machine")

    rows = verified(change=other_lock)
    assert cells(rows, "download.txt") == ("same", "same", "same", "same")
    assert cells(rows, "split.txt") == ("same", "same", "same", "DIFFERS")
    assert cells(rows, "train.txt *") == ("same", "same", "-", "other processor")
    assert cells(rows, "evaluate.txt *") == ("same", "same", "-", "same")
    assert cells(rows, "dvc.lock") == ("same", "same", "same", "-")


def test_outputs_that_depend_on_time_folder_or_environment_differ(verified):
    rows = verified(
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


def test_with_a_preset_no_committed_digest_is_compared(verified):
    rows = verified("sample")
    assert {row[-1] for row in rows} == {"-"}
    assert not [row for row in rows if verify.DIFFERS in row]


def test_a_failed_run_is_an_error_after_its_last_output(verified, capsys):
    with pytest.raises(PipelineError, match=r"dvc repro failed in .*first; "):
        verified(split="echo the reason; false")
    assert "the reason" in capsys.readouterr().err


def test_without_a_git_repository_verify_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="git repository; clone this project with git"):
        verify.run(tmp_path, None, keep=False)


def test_the_users_images_and_split_are_given_to_the_clone(project, write_params, tmp_path):
    write_params({"download.local.path": "faces", "split.assigned": "lists/people.csv"})
    clone = tmp_path / "clone"
    (clone / "data").mkdir(parents=True)
    (clone / "params.yaml").write_text((project / "params.yaml").read_text())
    for name in ("faces/a/1.png", "lists/people.csv"):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text(name)
    verify._copy_data(project, clone)
    for name in ("faces/a/1.png", "lists/people.csv"):
        assert (clone / name).read_text() == name
    (clone / "lists/people.csv").write_text("as committed")
    verify._copy_data(project, clone)
    assert (clone / "lists/people.csv").read_text() == "as committed"
