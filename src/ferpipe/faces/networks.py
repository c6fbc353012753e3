"""The three networks of MTCNN, on plain TensorFlow with the weights of the package `mtcnn`.

Zhang, Zhang, Li & Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016. Keras is not involved, so its backend and dtype policy do not matter here.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ferpipe.core.muted import muted

# As in model/backend.py: sums are split among the threads, so their number decides on rounding.
THREADS = 8
# What follows each convolution: the window of a maximum, every 2 pixels, and its padding.
POOLS = {
    "pnet": ((2, "SAME"), None, None),
    "rnet": ((3, "SAME"), (3, "VALID"), None),
    "onet": ((3, "SAME"), (3, "VALID"), (2, "SAME"), None),
}


def run(name: str, pixels: np.ndarray) -> list[np.ndarray]:
    """Run a network on the CPU.

    Args:
        name: "pnet", which slides over pictures of any size, "rnet" (24 px) or "onet" (48 px).
        pixels: uint8 (n, height, width, 3).

    Returns:
        Float32 arrays, one row a window: how far each side of the box is off (4), for "onet" the
        landmarks (10: all x, then all y), both in units of the window, and the confidence (1).
    """
    tf = _tensorflow()
    with tf.device("CPU:0"):
        weights = iter(_weights(name))
        x = (tf.cast(pixels, tf.float32) - 127.5) / 128
        for pool in POOLS[name]:
            x = _prelu(tf.nn.conv2d(x, next(weights), 1, "VALID") + next(weights), next(weights))
            if pool:
                x = tf.nn.max_pool2d(x, pool[0], 2, pool[1])
        if name != "pnet":
            x = tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (len(pixels), -1))
            x = _prelu(tf.matmul(x, next(weights)) + next(weights), next(weights))
        *outputs, logits = (
            tf.tensordot(x, tf.squeeze(kernel), 1) + bias
            for kernel, bias in zip(weights, weights, strict=True)
        )
        return [output.numpy() for output in (*outputs, tf.nn.softmax(logits)[..., 1:])]


def _prelu(x: Any, slope: Any) -> Any:
    return _tensorflow().maximum(x, 0) + slope * _tensorflow().minimum(x, 0)


@functools.cache
def _weights(name: str) -> list[Any]:
    """The weights of a network, from the files of the package without importing its code.

    Its own loader prefers a file of that name in the current folder, and unpickles it.
    """
    import joblib

    package = importlib.util.find_spec("mtcnn")
    if package is None:
        raise ModuleNotFoundError("No module named 'mtcnn'", name="mtcnn")
    (folder,) = package.submodule_search_locations
    arrays = joblib.load(Path(folder) / f"assets/weights/{name}.lz4")
    return [_tensorflow().constant(array) for array in arrays]


@functools.cache
def _tensorflow() -> Any:
    """Import TensorFlow, quietly as in model/backend.py, and leave GPUs to Keras' backend."""
    # JAX sets the level to 1.
    quiet = "tensorflow" not in sys.modules and os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1"
    with muted() if quiet else nullcontext():
        import tensorflow as tf

        with suppress(RuntimeError):  # it computes already, as Keras' backend has set it
            tf.config.threading.set_intra_op_parallelism_threads(THREADS)
            if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
                tf.config.set_visible_devices([], "GPU")
        with tf.device("CPU:0"):
            tf.zeros(()).numpy()  # what it logs when it starts to compute
    return tf
