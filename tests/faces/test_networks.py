"""MTCNN's networks on plain TensorFlow: as in the package, quiet, whatever Keras is set to."""

import json

import numpy as np
import pytest

from ferpipe.faces import networks
from ferpipe.model import backend

PROGRAM = """
import json
import numpy as np
{before}
from ferpipe.faces import networks
pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
print(json.dumps([output.tolist() for output in networks.run("onet", pixels)]))
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Without what Keras and TensorFlow set when the tests import them."""
    for name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("name", "side"), [("PNet", 31), ("RNet", 24), ("ONet", 48)])
def test_the_outputs_are_those_of_the_package(name, side):
    import mtcnn.stages

    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    model = getattr(mtcnn.stages, f"Stage{name}")().model
    *theirs, sure = model((pixels.astype(np.float32) - 127.5) / 128)
    ours = networks.run(name.lower(), pixels)
    for mine, other in zip(ours, (*theirs, sure[..., 1:]), strict=True):
        assert np.abs(mine - np.asarray(other)).max() < 1e-4


@pytest.mark.parametrize(
    "before",
    [
        "",
        "from ferpipe.model import backend; backend.prepare(precision='mixed_bfloat16')",
        "from ferpipe.model import backend_choice; backend_choice.choose('jax')\n"
        "from ferpipe.model import backend",
    ],
)
def test_keras_settings_and_backend_do_not_matter(run_python, tmp_path, monkeypatch, before):
    monkeypatch.chdir(tmp_path)
    # The package would unpickle it.
    (tmp_path / "onet.lz4").write_bytes(b"not the weights")
    done = run_python("-c", PROGRAM.format(before=before), timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    for mine, other in zip(networks.run("onet", pixels), json.loads(done.stdout), strict=True):
        assert np.abs(mine - other).max() < 1e-5


def test_keras_backend_can_come_after(run_python):
    after = "from ferpipe.model import backend; backend.prepare(); print('ok')"
    done = run_python("-c", PROGRAM.format(before="") + after, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("ok\n")


def test_importing_it_is_light(run_python):
    program = "from ferpipe.faces import framing; import sys; print('tensorflow' in sys.modules)"
    assert run_python("-c", program).stdout == "False\n"


def test_rounding_is_that_of_the_model(root):
    assert networks.THREADS == backend.THREADS
