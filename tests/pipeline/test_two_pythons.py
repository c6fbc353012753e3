"""The stages that need no TensorFlow, and evaluation's functions, under two versions of Python.

OTHER_PYTHON names the second Python, which has the same versions of the packages that they import:
`make test-pythons`.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from checkout import ROOT

PACKAGES = (
    *("numpy", "pandas", "pillow", "pydantic", "ruamel.yaml", "google-crc32c", "tqdm", "scipy"),
    *("scikit-learn", "filelock", "tabulate"),
)
VERSIONS = """
import json, sys
from importlib import metadata

installed = {each.name.lower(): each.version for each in metadata.distributions()}
print(json.dumps([sys.version_info[:2], {name: installed.get(name) for name in sys.argv[1:]}]))
"""
# The exact values, before they are rounded for a file.
EVALUATE = """
import numpy as np
import pandas as pd

from ferpipe.evaluation import calibration, cross_validation, curves, hog, result, significance
from ferpipe.model.losses import softmax

def show(value):
    print(value.to_dict("list") if isinstance(value, pd.DataFrame) else value)

rng = np.random.default_rng(0)
labels = np.arange(700) % 7
names = [f"class {number}" for number in range(7)]
paths = [str(number) for number in range(700)]
good, bad = (
    softmax(rng.normal(size=(700, 7)) + skill * np.eye(7)[labels]) for skill in (2, 0.5)
)
subjects = [f"S{number % 40:02}" for number in range(700)]
for people in (subjects, [""] * 700):
    network, baseline = (
        result.Result(names, paths, labels, probabilities, False, people)
        for probabilities in (good, bad)
    )
    show(result.headline_metrics(network, 0.95))
    show(result.per_class(network, 0.9))
    show(significance.compare(network.confusions, baseline.confusions))
measured = calibration.before_and_after(labels, good, 1.7, 0.95, subjects)
show(calibration.calibration_metrics(measured))
show(calibration.reliability_table(measured, "val"))
class_curves = curves.curves(labels, good, names)
show(curves.roc_table(class_curves, "val"))
show(curves.precision_recall_table(class_curves, "val"))
actual, predicted = np.array(names)[labels], np.array(names)[network.predicted]
table = pd.DataFrame({"path": paths, "actual": actual, "predicted": predicted})
folds = pd.concat([
    table[fold::2].assign(seed=seed, fold=fold) for seed in (1, 2) for fold in (0, 1)
])
scores = cross_validation.score(folds, paths, names, subjects)
show(cross_validation.summarise(scores, scores, 0.5, 0.95, selected_on_test=False))
show(cross_validation.per_class(scores, scores, names, "val", 0.95))
pictures = rng.integers(0, 256, (60, 48, 48, 1), dtype=np.uint8)
features = hog.features(pictures)
show(features.sum(axis=0).tolist())
show(hog.fit(features, labels[:60])(features[::-1]).tolist())
"""


def run(python, *arguments, folder):
    return subprocess.run(
        [python, *map(str, arguments)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def pythons(tmp_path_factory):
    """This Python and one of another version with the same packages."""
    other = os.environ.get("OTHER_PYTHON")
    if not other:
        pytest.skip("OTHER_PYTHON names no second Python; `make test-pythons` installs one")
    ask = ("-c", VERSIONS, *PACKAGES)
    (here, packages), (there, other_packages) = (
        json.loads(run(python, *ask, folder=tmp_path_factory.mktemp("versions")))
        for python in (sys.executable, other)
    )
    assert here != there
    assert other_packages == packages
    return sys.executable, other


def test_the_light_stages_write_the_same_bytes(pythons, tmp_path, files_under):
    written = []
    for number, python in enumerate(pythons):
        folder = tmp_path / str(number)
        (folder / "data").mkdir(parents=True)
        for name in ("params.yaml", "data/assigned.csv"):
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(ROOT / "presets", folder / "presets")
        for stage in ("download", "split", "preprocess"):
            run(python, ROOT / "src/stage.py", stage, folder=folder)
        outputs = [name for name in files_under(folder) if name.startswith(("data/", "reports/"))]
        written.append({name: (folder / name).read_bytes() for name in outputs})
    one, other = written
    assert {"data/raw/images.zip", "data/split.csv", "reports/split.json"} <= set(one)
    assert list(one) == list(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_evaluation_gives_the_same_values_to_the_last_bit(pythons, tmp_path):
    one, other = (run(python, "-c", EVALUATE, folder=tmp_path) for python in pythons)
    assert one.count("\n") == 14
    assert one == other
