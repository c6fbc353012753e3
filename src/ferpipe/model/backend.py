"""Keras on TensorFlow or JAX (see `backend_choice`), with the same settings whatever ~/.keras says.

Everything imports Keras from here. The import takes seconds, so only what trains or predicts does.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

from ferpipe.core import paths
from ferpipe.core.muted import muted
from ferpipe.model import backend_choice
from ferpipe.model.gpu_notes import notes

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
        _devices = tf.config.list_physical_devices("GPU")
        for _device in _devices:
            # Otherwise a process takes all memory of all GPUs at once.
            tf.config.experimental.set_memory_growth(_device, True)
        _details = [tf.config.experimental.get_device_details(device) for device in _devices]
        GPUS = [
            details.get("device_name", device.name)
            for details, device in zip(_details, _devices, strict=True)
        ]
        _capabilities = [details.get("compute_capability", (99, 0)) for details in _details]
    else:
        # Read when JAX first lists its devices. The first is ignored on a GPU, the others on a CPU.
        os.environ["PJRT_NPROC"] = str(THREADS)
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
        import jax

        # Compiling a large network can take longer than a short training, so keep the result.
        jax.config.update("jax_compilation_cache_dir", str((paths.CACHE / "xla").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
        _devices = [device for device in jax.devices() if device.platform == "gpu"]
        GPUS = [device.device_kind for device in _devices]
        _capabilities = [
            tuple(map(int, str(getattr(device, "compute_capability", "99.0")).split(".")))
            for device in _devices
        ]

keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")


def prepare(seed: int = 0, precision: str = "float32", deterministic: bool = True) -> None:
    """Set the global seed, dtype policy (such as "mixed_bfloat16") and determinism of the process.

    `deterministic` restricts TensorFlow to deterministic kernels and to THREADS threads per
    operation; JAX is always deterministic. What a user should know of the GPU goes to stderr.
    """
    for note in notes(NAME, GPUS, _capabilities, precision):
        print(f"note: {note}", file=sys.stderr, flush=True)
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
