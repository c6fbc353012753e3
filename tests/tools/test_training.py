"""The command `ferpipe train`; whole trainings are in tests/training/parallel."""

import subprocess
import sys

import pytest
import training_projects

from ferpipe.training.parallel.messages import free_port

COMMAND = "import sys; from ferpipe.tools.cli import main; sys.argv[0] = 'ferpipe'; main()"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params and records, but without dvc.yaml."""
    training_projects.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--coordinator", "node0:7766", "--process", "1")])
def test_several_processes_need_jax(tmp_path, monkeypatch, run_python, options):
    training_projects.write(tmp_path, backend="tensorflow")
    monkeypatch.chdir(tmp_path)
    done = run_python("-c", COMMAND, "train", "--processes", "2", *options)
    assert (done.returncode, done.stderr) == (
        1,
        "ferpipe: error: params.yaml: train.backend = tensorflow trains in one process; for "
        "several set train.backend to jax\n",
    )


def test_the_processes_must_divide_the_batch(project, run_python):
    done = run_python("-c", COMMAND, "train", "--processes", "3")
    assert (done.returncode, done.stderr) == (
        1,
        "ferpipe: error: params.yaml: train.batch_size = 8 cannot be divided among 3 processes; "
        "set it to a multiple of 3\n",
    )


def test_the_stage_says_the_same(tmp_path, monkeypatch, run_python, root):
    training_projects.write(tmp_path, backend="tensorflow")
    monkeypatch.chdir(tmp_path)
    done = run_python(root / "src/stage.py", "train", FERPIPE_PROCESSES="2")
    assert done.stderr == (
        "train: error: params.yaml: train.backend = tensorflow trains in one process; for several "
        "set train.backend to jax\n"
    )
    done = run_python(
        *(root / "src/stage.py", "train"),
        FERPIPE_PROCESSES="2",
        FERPIPE_PROCESS="1",
        FERPIPE_COORDINATOR="node0:7766",
    )
    assert (
        done.stderr == "train: error: FERPIPE_PROCESS = 1: run `ferpipe train` for this process\n"
    )


def test_options_count_before_variables(project, run_python):
    variables = {"FERPIPE_COORDINATOR": "node0:x", "FERPIPE_PROCESS": "7"}
    options = ("--processes", "3", "--process", "3")
    done = run_python("-c", COMMAND, "train", *options, **variables)
    line = "ferpipe: error: FERPIPE_PROCESS = 3 should be a whole number from 0 to 2\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_the_others_hear_that_dvc_has_failed(project, run_python):
    options = ("--processes", "2", "--coordinator", f"127.0.0.1:{free_port('127.0.0.1')}")
    command = [sys.executable, "-c", COMMAND, "train", *options, "--process", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        first = run_python("-c", COMMAND, "train", *options, "--process", "0")
        _, errors = other.communicate(timeout=60)
    assert first.returncode == 253  # DVC: this is no repository
    assert (other.returncode, errors) == (
        1,
        "ferpipe: error: `dvc repro train` of process 0 has ended with exit code 253\n",
    )
