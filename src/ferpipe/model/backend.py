"""Keras on TensorFlow or JAX (see `backend_choice`), with the same settings whatever ~/.keras says.

Everything imports Keras from here. The import takes seconds, so only what trains or predicts does.
"""

from __future__ import annotations

import os
import re
from contextlib import nullcontext

from ferpipe.core import paths
from ferpipe.core.muted import muted
from ferpipe.model import backend_choice

# Threads per operation. Sums are split among them, so a fixed number makes rounding independent of
# the number of cores; `docs/training.md` has the cost.
THREADS = 8

NAME = backend_choice.name
os.environ["KERAS_BACKEND"] = NAME

# TensorFlow logs a page about processor and drivers that no setting silences in this version. With
# TF_CPP_MIN_LOG_LEVEL set, for example to find out why no GPU is detected, all of it is shown.
with nullcontext() if "TF_CPP_MIN_LOG_LEVEL" in os.environ else muted():
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

        # Compiling a large network can take longer than a short training, so keep the result.
        jax.config.update("jax_compilation_cache_dir", str((paths.CACHE / "xla").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
        # Read when JAX first lists its devices; ignored on a CPU.
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
        GPUS = [device.device_kind for device in jax.devices() if device.platform == "gpu"]

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device ran out of memory."""
    if type(error).__name__ not in ("ResourceExhaustedError", "JaxRuntimeError", "XlaRuntimeError"):
        return False
    return re.search("RESOURCE_EXHAUSTED|OOM|out of memory", str(error)) is not None


def prepare(seed: int = 0, precision: str = "float32", deterministic: bool = True) -> None:
    """Set the global seed, dtype policy (such as "mixed_bfloat16") and determinism of the process.

    `deterministic` restricts TensorFlow to deterministic kernels and to THREADS threads per
    operation; JAX is always deterministic.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    if NAME == "tensorflow":
        # Grappler's graph rewriting costs more time than it saves; see docs/training.md.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        else:
            tf.config.threading.set_intra_op_parallelism_threads(0)  # one per core
