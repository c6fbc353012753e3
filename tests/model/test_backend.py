import json
import os

import numpy as np
import pytest
from from_weights import fit
from networks import train_params

from ferpipe.model import backend
from ferpipe.model.network import build_model


def test_both_backends_train_alike_from_the_same_weights(tmp_path, root, run_python, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where JAX caches what it has compiled
    backend.prepare(seed=5)
    np.savez("start.npz", *build_model(train_params(), 16, 1, classes=3).get_weights())
    expected = fit("start.npz", "tensorflow.npz")
    script = (root / "tests" / "from_weights.py", "jax", "start.npz", "jax.npz")
    actual = json.loads(run_python(*script, timeout=300).stdout.splitlines()[-1])
    for row, other in zip(actual, expected, strict=True):
        assert row["accuracy"] == other["accuracy"]
        for key in ("loss", "val_loss"):
            assert row[key] == pytest.approx(other[key], rel=1e-3)
    with np.load("tensorflow.npz") as ours, np.load("jax.npz") as theirs:
        for name in ours.files:
            np.testing.assert_allclose(theirs[name], ours[name], atol=2e-3)
    assert any((tmp_path / ".ferpipe" / "xla").iterdir())
    if hasattr(os, "sched_setaffinity"):  # JAX rounds alike on one core and on all
        arguments = [str(script[0]), *script[1:3], "one_core.npz"]
        pinned = f"""
import os, runpy, sys
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
sys.path.insert(0, {str(root / "tests")!r})
sys.argv = {arguments}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
        assert json.loads(run_python("-c", pinned, timeout=300).stdout.splitlines()[-1]) == actual
        assert (tmp_path / "one_core.npz").read_bytes() == (tmp_path / "jax.npz").read_bytes()


FULL = """
import sys
from ferpipe.core.errors import exits_cleanly
from ferpipe.model import backend_choice
backend_choice.choose(sys.argv[1])
from ferpipe.model.backend import keras, prepare
prepare()
exits_cleanly("evaluate")(keras.ops.ones)((2**21, 2**21))
"""


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_a_full_memory_ends_in_one_line_with_either_backend(
    tmp_path, run_python, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    done = run_python("-c", FULL, name, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("evaluate: error: out of memory; end other ")
    assert "Traceback" not in done.stderr
