"""Trainings with several processes and devices: the same result as with one."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import training_projects
from networks import NO_AUGMENT

from ferpipe.training.parallel.messages import free_port

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

pytestmark = pytest.mark.xdist_group("processes")  # they share a training
ROOT = Path(__file__).parents[3]
# Compiles in half the time.
FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
AUGMENT = NO_AUGMENT.model_copy(update={"flip": True, "rotate": 10.0, "contrast": 0.1})


def start(folder, processes, devices, command=("src/stage.py", "train"), **variables):
    """Start a training; what it prints goes to the file `output`."""
    values = {"FERPIPE_PROCESSES": processes, "JAX_PLATFORMS": "cpu", "PYTHONPATH": ROOT / "src"}
    values["XLA_FLAGS"] = f"{FLAGS} --xla_force_host_platform_device_count={devices}"
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, ROOT / command[0], *command[1:]],
            cwd=folder,
            env=os.environ | {name: str(value) for name, value in (values | variables).items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait(process, folder):
    """Wait for a training; returns its exit code and what it has printed."""
    code = process.wait(timeout=500)
    return code, (folder / "output").read_text()


def project(folder, **changes):
    folder.mkdir()
    training_projects.write(folder, augment=AUGMENT, **changes)
    return folder


def weights(folder):
    """The arrays of the model file by name."""
    arrays = {}
    with zipfile.ZipFile(folder / "models/trained.keras") as parts:
        data = parts.read("model.weights.h5")
    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(
            lambda name, item: arrays.update(
                {name: np.asarray(item)} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return arrays


def results(folder):
    history = pd.read_csv(folder / "reports/history.csv").select_dtypes("number")
    return history.to_numpy().ravel(), json.loads((folder / "models/training.json").read_text())


def assert_same(folder, reference):
    ours, theirs = weights(folder), weights(reference)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-5, err_msg=name)
    for got, expected in zip(results(folder), results(reference), strict=True):
        assert got == pytest.approx(expected, abs=1e-4)
    assert not list(folder.rglob("*.partial"))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of a training of one process with one device."""
    folder = project(tmp_path_factory.mktemp("trainings") / "one")
    code, output = wait(start(folder, 1, 1), folder)
    assert code == 0, output
    return folder


SHAPES = [(1, 4), (2, 2), *(pytest.param(n, 1, marks=pytest.mark.processes) for n in (2, 4))]


@pytest.mark.parametrize(("processes", "devices"), SHAPES)
def test_processes_and_devices_share_each_batch(one, tmp_path, processes, devices):
    folder = project(tmp_path / "several")
    code, output = wait(start(folder, processes, devices, CUDA_VISIBLE_DEVICES=""), folder)
    assert code == 0, output
    together = f" of {processes} processes" if processes > 1 else ""
    device = f"jax on {processes * devices} devices (the CPU){together}\n"
    assert f"train: compact, 50 images, {device}" in output
    assert output.count("train: epoch   2") == 1
    assert_same(folder, one)


def computing(folder, number):
    """The process id of what computes as this process of the group."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (
                path.joinpath("cwd").resolve() == folder
                and f'"process": {number},'.encode() in (path / "environ").read_bytes()
            ):
                return int(path.name)
        except OSError:
            continue
    raise ProcessLookupError(number)


@pytest.mark.processes
def test_a_killed_training_resumes_with_another_number_of_processes(one, tmp_path):
    folder = project(tmp_path / "killed")
    process = start(folder, 2, 1, CUDA_VISIBLE_DEVICES="")
    while not list(folder.glob(".ferpipe/checkpoints/*/epoch-00001.npz")):
        assert process.poll() is None, (folder / "output").read_text()
        time.sleep(0.01)
    os.kill(computing(folder, 1), signal.SIGKILL)
    code, output = wait(process, folder)
    assert code == 1
    assert output.splitlines()[-1] == (
        f"train: error: process 1 ({socket.gethostname()}) was ended by SIGKILL, as when "
        "memory runs out; run it again to resume from the last checkpoint, with any number of "
        "processes"
    )
    assert "Gloo" not in output
    assert not (folder / "models").exists()

    code, output = wait(start(folder, 1, 4), folder)
    assert code == 0, output
    assert "train: resumes after epoch 1" in output
    assert_same(folder, one)


@pytest.mark.processes
def test_a_solved_head_and_phases_in_two_processes(tmp_path):
    changes = {"head": "solved", "mirror_average": True, "augmented_copies": 1, "epochs": 1}
    folders = [project(tmp_path / name, **changes) for name in ("one", "two")]
    for processes, folder in enumerate(folders, 1):
        code, output = wait(start(folder, processes, 1, CUDA_VISIBLE_DEVICES=""), folder)
        assert code == 0, output
    assert_same(folders[1], folders[0])


@pytest.mark.processes
def test_process_0_runs_dvc_and_the_other_waits_for_work(one, tmp_path):
    folder = project(tmp_path / "first")
    there = shutil.copytree(folder, tmp_path / "other")
    stage = {
        "cmd": f"{sys.executable} {ROOT / 'src/stage.py'} train",
        "params": ["train"],
        "deps": ["data/records"],
        "outs": ["models/trained.keras", "models/training.json", "reports/history.csv"],
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage}}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, check=True)
    command = ("tests/run_ferpipe.py", "train")
    variables = {"FERPIPE_COORDINATOR": f"127.0.0.1:{free_port('127.0.0.1')}"}
    for attempt in range(2):
        other = start(there, 2, 1, command, **variables, FERPIPE_PROCESS=1)
        first = start(folder, 2, 1, command, **variables, FERPIPE_PROCESS=0)
        code, output = wait(first, folder)
        assert code == 0, output
        code, lines = wait(other, there)
        assert code == 0, lines
        assert ("process 0 had nothing to train" in lines) == (attempt == 1)
    assert_same(folder, one)
    assert not (there / "models").exists()
