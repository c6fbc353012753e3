"""Sharing batches among devices; trainings with several are in tests/training/parallel."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from networks import bars, train_params

from ferpipe.model import devices
from ferpipe.model.network import build_model
from ferpipe.training.parallel.messages import free_port

# Four devices, and batches of these sizes.
SHARED = """
from ferpipe.model import backend_choice
backend_choice.choose("jax")
from ferpipe.model import devices
from ferpipe.model.backend import keras
for size in (8, 6, 7):
    keras.distribution.set_distribution(None)
    devices.share(size)
    shared = keras.distribution.distribution()
    print(size, shared and shared.num_model_replicas)
"""


def test_one_process_does_everything_itself():
    devices.share(8)
    assert devices.processes() == 1
    assert devices.is_first()
    assert devices.rows(8) == slice(0, 8)
    assert devices.from_first(b"text") == b"text"
    model, images = build_model(train_params(), 16, 1, classes=3), bars(8, seed=1).images
    expected = model.predict_on_batch(images)
    np.testing.assert_array_equal(devices.predict_on_batch(model, images), expected)
    assert devices.replicated(0.5) == 0.5


def test_as_many_devices_share_a_batch_as_divide_it(run_python):
    pytest.importorskip("jax")
    flags = "--xla_force_host_platform_device_count=4"
    done = run_python("-c", SHARED, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    line = "devices are used, because they must divide train.batch_size ="
    assert done.stdout.splitlines() == [
        "8 4",
        f"train: 3 of 4 {line} 6",
        "6 3",
        f"train: 1 of 4 {line} 7",
        "7 None",
    ]


ODD = """
import sys
sys.path.insert(0, sys.argv[1])
from ferpipe.model import backend_choice
backend_choice.choose("jax")
import numpy as np
from networks import bars, train_params
from ferpipe.model import devices
from ferpipe.model.network import build_model
devices.share(8)
model, images = build_model(train_params(), 16, 1, classes=3), bars(7, seed=1).images
found = devices.predict_on_batch(model, images)
print(devices._predictor.cache_info().currsize)
np.testing.assert_allclose(found, model(images), atol=1e-6)
"""


def test_devices_share_a_batch_that_they_do_not_divide(run_python):
    pytest.importorskip("jax")
    flags = "--xla_force_host_platform_device_count=4"
    folder = Path(__file__).parents[1]
    done = run_python("-c", ODD, folder, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    assert done.stdout == "1\n", done.stderr


# Two processes, with two devices and with one.
TOGETHER = """
import os, sys
number = int(sys.argv[1])
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={2 - number}"
import jax
jax.distributed.initialize(sys.argv[2], 2, number, cluster_detection_method="deactivate")
from ferpipe.model import backend_choice
backend_choice.choose("jax")
from ferpipe.model import devices
data = bytes(range(256)) * 1000 + b"end"
assert devices.from_first([data, b"other"][number]) == data
assert devices.from_first([b"", b"other"][number]) == b""
devices.share(8)
print(devices.description(), devices.rows(8))
"""


@pytest.mark.processes
def test_all_processes_get_what_the_first_one_has(run_python):
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    with ThreadPoolExecutor() as pool:
        both = pool.map(
            lambda n: run_python("-c", TOGETHER, n, address, JAX_PLATFORMS="cpu"), (0, 1)
        )
    for done, rows in zip(both, ("slice(0, 4, None)", "slice(4, 8, None)"), strict=True):
        assert done.returncode == 0, done.stderr
        last = done.stdout.splitlines()[-1]
        assert last == f"jax on 3 devices (the CPU) of 2 processes {rows}"
