"""The stages that need no TensorFlow, and evaluation's functions, under two versions of Python.

It needs a second Python with the same versions of the packages that they import: one that
OTHER_PYTHON names, such as `python` of a virtual environment, or `python3.11` to `python3.13` on
PATH.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from checkout import ROOT

PACKAGES = (
    *("numpy", "pillow", "pydantic", "ruamel.yaml", "google-crc32c", "tqdm", "scipy"),
    "scikit-learn",
)
ASK = """
import json, sys
from importlib import metadata

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

print(json.dumps([sys.version_info[:2], {name: version(name) for name in sys.argv[1:]}]))
"""
# The exact values, before they are rounded for a file.
EVALUATE = """
import numpy as np

from ferpipe.evaluation import (
    calibration, cross_validation, curves, hog, intervals, metrics, result, significance
)
from ferpipe.model.losses import softmax

rng = np.random.default_rng(0)
labels = np.arange(700) % 7
logits = rng.normal(size=(700, 7)) + 2 * np.eye(7)[labels]
probabilities = softmax(logits)
subjects = [f"S{number % 40:02}" for number in range(700)]
names = [f"class {number}" for number in range(7)]
made = result.Result(names, names * 100, labels, probabilities, False, subjects)
print(result.headline_metrics(made, 0.95))
print(result.per_class(made, 0.9))
measured = calibration.before_and_after(labels, probabilities, 1.7, 0.95, subjects)
print(calibration.calibration_metrics(measured))
print(calibration.reliability_rows(measured, "val"))
found = curves.curves(labels, probabilities, names)
print(curves.roc_rows(found, "val"))
print(curves.precision_recall_rows(found, "val"))
other = rng.integers(0, 7, 700)
for who in (subjects, ()):
    print(significance.compare_predictions(made.predicted == labels, other == labels, who))
print(intervals.intervals(labels, other, (), 7, 0.95))
rows = [
    {"path": str(n), "actual": names[label], "predicted": names[guess]}
    for n, (label, guess) in enumerate(zip(labels, made.predicted))
]
folds = {(seed, fold): rows[fold::2] for seed in (1, 2) for fold in (0, 1)}
scores = cross_validation.score(folds, [row["path"] for row in rows], names, subjects)
print(cross_validation.summarise(scores, scores, 0.5, 700, 0.95, selected_on_test=False))
print(cross_validation.per_class(scores, scores, [100] * 7, names, "val", 0.95))
pictures = rng.integers(0, 256, (60, 48, 48, 1), dtype=np.uint8)
features = hog.features(pictures)
print(features.sum(axis=0).tolist())
print(hog.fit(features, labels[:60])(features[::-1]).tolist())
"""


def ask(python):
    """Its version and those of the packages; None where it does not run."""
    try:
        done = subprocess.run(
            [python, "-c", ASK, *PACKAGES], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.fixture(scope="module")
def pythons():
    """This Python and one of another version with the same packages."""
    here, packages = ask(sys.executable)
    named = os.environ.get("OTHER_PYTHON")
    reasons = []
    for name in [named] if named else ["python3.11", "python3.12", "python3.13"]:
        path = shutil.which(name)
        asked = ask(path) if path else None
        if asked is None:
            reasons.append(f"{name} does not run")
        elif asked[0] == here:
            reasons.append(f"{name} has the version of this Python")
        elif asked[1] != packages:
            differing = [each for each in PACKAGES if asked[1][each] != packages[each]]
            reasons.append(f"{name} lacks, or has other versions of, {', '.join(differing)}")
        else:
            return sys.executable, path
    pytest.skip(
        f"no second Python with the packages of this one ({'; '.join(reasons)}); name one in "
        "OTHER_PYTHON"
    )


def run(python, *arguments, where):
    done = subprocess.run(
        [python, *map(str, arguments)],
        cwd=where,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HOME": str(where)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_light_stages_write_the_same_bytes(pythons, tmp_path, files_under):
    written = []
    for number, python in enumerate(pythons):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(ROOT / "params.yaml", folder)
        shutil.copytree(ROOT / "presets", folder / "presets")
        for stage in ("download", "split", "preprocess"):
            run(python, ROOT / "src/stage.py", stage, where=folder)
        written.append(
            {
                name: (folder / name).read_bytes()
                for name in files_under(folder)
                if name.startswith(("data/", "reports/"))
            }
        )
    one, other = written
    assert {"data/raw/images.zip", "data/split.csv", "reports/split.json"} <= set(one)
    assert list(one) == list(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_evaluation_gives_the_same_numbers_to_the_last_bit(pythons, tmp_path):
    one, other = (run(python, "-c", EVALUATE, where=tmp_path) for python in pythons)
    assert one.count("\n") > 12
    assert one == other
