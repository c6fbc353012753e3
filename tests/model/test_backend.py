import json

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
