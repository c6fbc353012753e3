"""Model files under older versions of Keras: `make test-keras` installs them into OLD_KERAS."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import train_params

from ferpipe.model import saving
from ferpipe.model.backend import prepare
from ferpipe.model.network import build_model, with_probabilities

FOLDER = os.environ.get("OLD_KERAS")
VERSIONS = sorted(path.name for path in Path(FOLDER).iterdir()) if FOLDER else []
MODELS = {
    "compact": {},
    "solved": {"head": "solved", "mirror_average": True},
    "solved at two sizes": {"backbone": "MobileNetV2", "head": "solved", "input_size": [32, 48]},
    "ResNet101": {"backbone": "ResNet101", "input_size": 64},
}
PREDICT = """
import sys
import numpy as np
import keras

assert keras.__version__ == sys.argv[1], keras.__version__
images = np.load("images.npy")
for path in sys.argv[2:]:
    model = keras.saving.load_model(path, compile=False)
    np.save(path + ".npy", model.predict(images, verbose=0))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images and the file and probabilities of each model."""
    folder = tmp_path_factory.mktemp("models")
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    for name, changes in MODELS.items():
        prepare(seed=1)
        model = with_probabilities(build_model(train_params(**changes), 16, 1, classes=3), 1.5)
        saving.save(model, folder / f"{name}.keras", ["a", "b", "c"])
        np.save(folder / f"{name}.npy", saving.predict(model, images, batch_size=4))
    return folder


@pytest.mark.skipif(not VERSIONS, reason="needs the versions that `make test-keras` installs")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_probabilities(folder, version):
    files = [f"{name}.keras" for name in MODELS]
    env = {**os.environ, "PYTHONPATH": str(Path(FOLDER) / version)}
    command = [sys.executable, "-c", PREDICT, version, *files]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in MODELS:
        expected = np.load(folder / f"{name}.npy")
        found = np.load(folder / f"{name}.keras.npy")
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
