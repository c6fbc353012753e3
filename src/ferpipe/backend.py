"""Keras on TensorFlow, imported in one place, the same whatever the user's ~/.keras says.

Importing this module takes seconds: only what trains or predicts does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _without_greetings() -> Iterator[None]:
    """Drop what TensorFlow's C++ writes to file descriptor 2 while it starts.

    It is a page about processor and drivers that no setting silences in this version. Whoever
    sets TF_CPP_MIN_LOG_LEVEL, to find out why a GPU is not seen, gets all of it.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _without_greetings():
    import keras
    import tensorflow as tf

    GPUS = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")

OutOfMemory = tf.errors.ResourceExhaustedError

__all__ = ["GPUS", "OutOfMemory", "keras", "prepare"]


def prepare(seed: int = 0, precision: str = "float32", deterministic: bool = True) -> None:
    """Set what holds for the whole process.

    Args:
        seed: for initial weights and everything else that draws from a global generator.
        precision: a Keras dtype policy, such as "mixed_bfloat16".
        deterministic: let TensorFlow choose only kernels that give the same bits every time.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    # Grappler's rewriting takes longer than it saves; see docs/training.md.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if deterministic:
        tf.config.experimental.enable_op_determinism()
