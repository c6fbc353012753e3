"""The command `ferpipe`, and `src/stage.py`, which DVC runs."""

import signal
import subprocess
import sys
from importlib import metadata

import pytest
from faces import dataset, write_folder

from ferpipe.params.experiment import json_schema
from ferpipe.tools import cli, presets

HEAVY = ("tensorflow", "keras", "kaggle", "sklearn", "matplotlib")
STAGES = (
    *("download", "split", "preprocess", "train", "evaluate"),
    *("cv_folds", "cv_records", "cv_fold", "cv_baseline", "cv_summary"),
)
ARGUMENTS = {"cv_fold": ("--seed", "1", "--fold", "0")}


@pytest.fixture
def ferpipe(project, run_python):
    """Run a command in the project's folder."""

    def run(*args, **environment):
        return run_python("-c", "from ferpipe.tools.cli import main; main()", *args, **environment)

    return run


def failed(done, message):
    """Whether a command failed with one line that begins with the message."""
    return (
        (done.returncode, done.stdout) == (1, "")
        and done.stderr.startswith(message)
        and done.stderr.count("\n") == 1
    )


# ferpipe


def test_the_installed_command_is_this_one():
    (command,) = metadata.entry_points(group="console_scripts", name="ferpipe")
    assert command.load() is cli.main


def test_a_reader_that_stops_reading_is_no_error(project):
    command = [sys.executable, "-c", "from ferpipe.tools.cli import main; main()", "preset"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_command_in_this_process_leaves_its_signals(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ferpipe", "check"])
    cli.main()
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN


def test_check_summarises_valid_params(ferpipe):
    done = ferpipe("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "params.yaml is valid: source sample, split by subject, backbone compact, 12 epochs\n"
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.batch_size", 0, "train.batch_size = 0: should be greater than or equal to 1\n"),
        ("download.local.path", "no.zip", "download.local.path = 'no.zip': there is no such file "),
        ("split.assigned", "no.csv", "split.assigned = 'no.csv': there is no such file; the "),
    ],
)
def test_check_reports_a_wrong_value_in_one_line(ferpipe, write_params, key, value, message):
    write_params({key: value})
    assert failed(ferpipe("check"), f"ferpipe: error: params.yaml: {message}")


def test_check_says_who_made_the_split(ferpipe, project, write_params):
    write_params({"split.official": "use"})
    assert ", split by official parts, backbone" in ferpipe("check").stdout
    write_params({"split.official": "ignore"})
    (project / "data/assigned.csv").write_text("subject,fold\nS1,0\nS2,1\n")
    assert ", split by data/assigned.csv, backbone" in ferpipe("check").stdout
    (project / "data/assigned.csv").write_text("subject,fold\nS1,0\nS2,two\n")
    assert failed(ferpipe("check"), "ferpipe: error: data/assigned.csv, line 3: fold = 'two' sho")


def test_check_takes_another_file(ferpipe, project):
    (project / "params.yaml").rename(project / "other.yaml")
    assert ferpipe("check", "--params", "other.yaml").stdout.startswith("other.yaml is valid: ")
    assert failed(ferpipe("check"), "ferpipe: error: params.yaml is missing; run this in the")


def test_preset_without_a_name_lists_them_with_their_headers(ferpipe, project):
    before = (project / "params.yaml").read_bytes()
    done = ferpipe("preset")
    assert (done.returncode, done.stderr) == (0, "")
    for name in presets.names():
        assert f"{name}\n  {presets.header(name)[0]}\n" in done.stdout
        assert f"  Command: make repro PRESET={name}" in done.stdout
    assert done.stdout.endswith(
        "`ferpipe preset NAME` replaces params.yaml; `dvc params diff` shows the changes.\n"
        "Keys that a preset does not set, also those of `evaluate`, `cv` and `run`, are reset\n"
        "to the values of presets/base.yaml.\n"
    )
    assert "base\n  " not in done.stdout
    assert (project / "params.yaml").read_bytes() == before


def test_preset_with_a_name_replaces_the_params_and_prints_the_changes(ferpipe):
    done = ferpipe("preset", "ckplus")
    assert (done.returncode, done.stderr) == (0, "")
    assert "download.source: 'sample' -> 'kaggle'\n" in done.stdout
    assert "source kaggle" in ferpipe("check").stdout
    assert ferpipe("preset", "ckplus").stdout == "nothing to change\n"


def test_an_invalid_or_unknown_preset_is_reported_in_one_line(ferpipe, project):
    (project / "presets" / "bad.yaml").write_text("train:\n  epoch: 3\n")
    message = "ferpipe: error: presets/bad.yaml: train.epoch: unknown key; "
    assert failed(ferpipe("preset", "bad"), message)
    message = "ferpipe: error: there is no preset 'ck+'; presets: bad, ckplus, "
    assert failed(ferpipe("preset", "ck+"), message)


def test_schema_writes_the_committed_bytes(ferpipe, project, root):
    done = ferpipe("schema")
    assert (done.returncode, done.stdout) == (0, "params.schema.json written\n")
    written = (project / "params.schema.json").read_bytes()
    assert written == (root / "params.schema.json").read_bytes() == json_schema().encode()


def test_the_contact_sheet_is_a_png_of_the_sample(ferpipe, write_params, project):
    write_params({"download.sample.subjects": 2})
    done = ferpipe("contact-sheet", "--output", "sheet.png")
    assert (done.returncode, done.stdout) == (0, "sheet.png written\n")
    assert (project / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_prints_the_params_to_paste_and_expands_the_home_folder(ferpipe, project):
    write_folder(project / "faces", dataset())
    home = project / "home"
    home.mkdir()
    (project / "faces").rename(home / "faces")
    done = ferpipe("inspect", "~/faces", HOME=str(home))
    assert (done.returncode, done.stderr) == (0, "")
    assert "layout: folders\n" in done.stdout
    assert f"path: {home}/faces\n" in done.stdout
    assert failed(ferpipe("inspect", "nowhere"), "ferpipe: error: nowhere is missing; it should be")


@pytest.mark.parametrize(
    "command", ["", "check", "preset", "inspect", "schema", "contact-sheet", "compare"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.parser().parse_args([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert text.startswith(f"usage: {' '.join(['ferpipe', command]).strip()} ")
    names = ["check", "preset", "inspect", "schema", "contact-sheet", "compare"]
    expected = names if not command else ["--params FILE"]
    assert all(word in text for word in expected)
    if command == "preset":
        assert "are reset to the values of presets/base.yaml" in " ".join(text.split())


@pytest.mark.parametrize("args", [[], ["chekc"], ["check", "more"]])
def test_wrong_arguments_end_in_usage_and_exit_code_2(args, capsys):
    with pytest.raises(SystemExit) as end:
        cli.parser().parse_args(args)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ferpipe ")


# Commands and light stages start fast


def imported(run_python, code, *args):
    """Which of the heavy packages a program imports."""
    lines = ["import sys", code, f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"]
    done = run_python("-c", "\n".join(lines), *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("args", [["check"], ["preset"], ["preset", "ckplus"]])
def test_a_command_imports_nothing_heavy(project, run_python, args):
    assert imported(run_python, "from ferpipe.tools.cli import main; main()", *args) == "[]"


@pytest.mark.parametrize(
    "stage", ["download", "split", "preprocess", "cv_folds", "cv_records", "cv_summary"]
)
def test_a_light_stage_imports_nothing_heavy(run_python, stage):
    assert imported(run_python, f"import ferpipe.stages.{stage}") == "[]"


def test_an_import_is_detected(run_python):
    assert imported(run_python, "import matplotlib") == "['matplotlib']"


# src/stage.py


@pytest.mark.parametrize(
    "args",
    [
        *([], ["splitt"], ["split", "train"], ["../split"], ["--version"]),
        *(["split", "--seed", "1"], ["cv_fold"], ["cv_fold", "--seed", "1", "--fold", "x"]),
    ],
)
def test_a_wrong_stage_ends_in_usage_and_exit_code_2(root, run_python, args):
    done = run_python(root / "src" / "stage.py", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python src/stage.py ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_runner_has_help(root, run_python, flag):
    done = run_python(root / "src" / "stage.py", flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n    {stage}" in done.stdout for stage in STAGES)
    of_fold = run_python(root / "src" / "stage.py", "cv_fold", flag)
    assert of_fold.stdout.startswith(
        "usage: python src/stage.py cv_fold [-h] --seed SEED --fold FOLD"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_without_the_packages_a_stage_names_the_remedy_in_one_line(
    root, project, run_python, stage
):
    args = (stage, *ARGUMENTS.get(stage, ()))
    done = run_python("-ES", root / "src" / "stage.py", *args)  # no installed packages
    assert failed(done, f"{stage}: error: the package ")
    assert "is not installed for this Python; activate the environment" in done.stderr
    assert done.stderr.endswith("or make it with `make venv`\n")
