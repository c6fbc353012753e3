"""Keras on TensorFlow or on JAX, imported in one place, the same whatever ~/.keras says.

Keras takes its backend once, when it is imported; the stages that train name it before, see
`backend_choice`. Importing this module takes seconds: only what trains or predicts does it.
"""

from __future__ import annotations

import os
from contextlib import nullcontext

from ferpipe.core import paths
from ferpipe.core.muted import muted
from ferpipe.model import backend_choice

# Threads that share an operation. Sums are split among them, so their number, not that of the
# cores, decides how results are rounded; `docs/training.md` has what it costs.
THREADS = 8

NAME = backend_choice.name
os.environ["KERAS_BACKEND"] = NAME


# TensorFlow writes a page about processor and drivers that no setting silences in this version.
# Whoever sets TF_CPP_MIN_LOG_LEVEL, to find out why a GPU is not seen, gets all of it.
_greetings = nullcontext() if "TF_CPP_MIN_LOG_LEVEL" in os.environ else muted()

with _greetings:
    import keras

    if NAME == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        GPUS = [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    else:
        import jax

        # XLA compiles a large network for longer than a short training takes; it does so once.
        jax.config.update("jax_compilation_cache_dir", str((paths.CACHE / "xla").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
        # Read when the first device is asked for; costs nothing on a processor.
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
        GPUS = [device.device_kind for device in jax.devices() if device.platform == "gpu"]

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")

__all__ = ["GPUS", "NAME", "is_out_of_memory", "keras", "prepare"]


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether the device ran out of memory; both backends name it alike."""
    kinds = ("ResourceExhaustedError", "JaxRuntimeError", "XlaRuntimeError")
    return type(error).__name__ in kinds and any(
        sign in str(error) for sign in ("RESOURCE_EXHAUSTED", "OOM", "out of memory")
    )


def prepare(seed: int = 0, precision: str = "float32", deterministic: bool = True) -> None:
    """Set what holds for the whole process.

    Args:
        seed: for initial weights and everything else that draws from a global generator.
        precision: a Keras dtype policy, such as "mixed_bfloat16".
        deterministic: let TensorFlow choose only kernels that give the same bits every time, and
            split its sums alike whatever the number of cores; JAX always does the former.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    if NAME == "tensorflow":
        # Grappler's rewriting takes longer than it saves; see docs/training.md.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        else:
            tf.config.threading.set_intra_op_parallelism_threads(0)  # one a core
