"""Fixtures of many tests: the committed files, a folder to work in, and running stages."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ferpipe.params.reader import read_yaml

ROOT = Path(__file__).parent.parent

# Whole pipelines, trainings, generated inputs and downloads that hang take minutes.
SLOW = (
    *(
        "pipeline",
        "model",
        "training",
        "faces",
        "sources/kaggle",
        "runtime",
        "report/test_figures.py",
    ),
    *("evaluation/test_gradcam.py", "report/test_probability_figures.py", "stages/test_cv_fold.py"),
    *("test_at_a_terminal.py", "test_benchmarks.py", "test_generated.py"),
)


def pytest_configure():
    """Let tests stop programs: a shell's background processes ignore SIGINT, `nohup` SIGHUP."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    """Mark what `make check` leaves out."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here)
        if any(path.is_relative_to(name) for name in SLOW) and path.name != "test_dvc_yaml.py":
            item.add_marker("slow")


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture
def values():
    """The committed params.yaml, as plain values to change."""
    return read_yaml(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the committed params.yaml and presets; the test runs in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "presets", folder / "presets")
    (folder / "data/local").mkdir(parents=True)
    shutil.copy(ROOT / "data/assigned.csv", folder / "data")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write_params(project, values):
    """Write params.yaml with some keys changed: `write_params({"split.seed": 2})`."""

    def write(changes):
        for key, value in changes.items():
            *sections, last = key.split(".")
            target = values
            for section in sections:
                target = target[section]
            target[last] = value
        # JSON is YAML 1.2.
        (project / "params.yaml").write_text(json.dumps(values), encoding="utf-8")

    return write


@pytest.fixture
def run_python():
    """Run this Python on some arguments in the current folder; returns the finished process."""

    def run(*args, timeout=60, **environment):
        return subprocess.run(
            [sys.executable, *map(str, args)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def run_stage(capsys):
    """Run a stage in the current folder, in this process, which takes a second less."""

    def run(name):
        capsys.readouterr()
        status = 0
        try:
            importlib.import_module(f"ferpipe.stages.{name}").main()
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=printed.out, stderr=printed.err)

    return run


@pytest.fixture
def files_under():
    """The files below a folder, as sorted paths relative to it."""

    def listed(folder):
        return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())

    return listed
