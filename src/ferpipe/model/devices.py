"""The devices that share each batch: all of this process, and of the processes it trains with.

Only JAX shares batches. With one device, and with TensorFlow, nothing here changes anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ferpipe.model.backend import GPUS, NAME, keras

if NAME == "jax":
    import jax

# Messages between processes have lengths that are multiples of the first, in parts of the second:
# every length is compiled anew.
BLOCK, PART = 2**16, 2**26


def processes() -> int:
    """How many processes train together."""
    return jax.process_count() if NAME == "jax" else 1


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return NAME != "jax" or jax.process_index() == 0


def share(batch_size: int) -> None:
    """Let all devices share batches of this size; call it before building the model.

    Of each process the largest number of devices is used by which its rows can be divided.
    """
    if NAME != "jax" or jax.device_count() == 1:
        return
    indices = range(jax.process_count())
    own = [[d for d in jax.devices() if d.process_index == index] for index in indices]
    size, most = batch_size // len(own), min(map(len, own))
    used = next(number for number in range(most, 0, -1) if size % number == 0)
    if used * len(own) < jax.device_count():
        print(
            f"train: {used * len(own)} of {jax.device_count()} devices are used, because they must "
            f"divide train.batch_size = {batch_size}",
            flush=True,
        )
    names = [f"{device.platform}:{device.id}" for devices in own for device in devices[:used]]
    if len(names) > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        )


def rows(batch_size: int) -> slice:
    """The rows of a batch that this process computes."""
    size, index = batch_size // processes(), 0 if is_first() else jax.process_index()
    return slice(index * size, (index + 1) * size)


def replicated(value: float | np.ndarray) -> float | np.ndarray | keras.KerasTensor:
    """A value to assign to a float32 variable, in all processes the same.

    JAX would ask all processes at each assignment whether they assign the same, which takes
    milliseconds.
    """
    if processes() == 1:
        return value
    mesh = keras.distribution.distribution().device_mesh.backend_mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    array = np.asarray(value, np.float32)
    return jax.make_array_from_process_local_data(everywhere, array, array.shape)


def quicken(model: keras.Model) -> None:
    """Let a compiled model reset its metrics without asking other processes."""

    def reset_metrics() -> None:
        for variable in model.metrics_variables:
            variable.assign(replicated(np.zeros(variable.shape)))

    if processes() > 1:
        model.reset_metrics = reset_metrics


def predict_on_batch(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    """Predict a batch (n, ...); the devices share it, padded to a multiple of their number."""
    shared = keras.distribution.distribution()
    if shared is None:
        return model.predict_on_batch(batch)
    count = len(batch)
    batch = np.resize(batch, (count + -count % shared.num_model_replicas, *batch.shape[1:]))
    layout = shared.get_data_layout(batch.shape).backend_layout
    part = jax.make_array_from_process_local_data(layout, batch[rows(len(batch))])
    weights = model.trainable_variables, model.non_trainable_variables
    state = ([variable.value for variable in kind] for kind in weights)
    return np.asarray(_predictor(model, layout.mesh)(*state, part))[:count]


@functools.lru_cache(maxsize=4)
def _predictor(model: keras.Model, mesh: jax.sharding.Mesh) -> Callable:
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    call = functools.partial(model.stateless_call, training=False)
    return jax.jit(lambda *state: call(*state)[0], out_shardings=everywhere)


def arrays_from_first(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays of the first process, in every one; all must call this with the same shapes.

    Floats become float32.
    """
    return arrays if processes() == 1 else list(map(_from_first, arrays))


def _from_first(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32) if array.dtype == np.float64 else array
    owners = [device.process_index for device in jax.devices()]
    mesh = jax.sharding.Mesh([jax.devices()[owners.index(i)] for i in range(processes())], "p")
    each, all_of_them = (
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes)) for axes in ("p", "")
    )
    own = array if is_first() else np.zeros_like(array)
    stacked = jax.make_array_from_process_local_data(each, own[None])
    return np.asarray(jax.jit(_sum, out_shardings=all_of_them)(stacked))


def _sum(stacked: jax.Array) -> jax.Array:
    return stacked.sum(axis=0, dtype=stacked.dtype)


def from_first(data: bytes) -> bytes:
    """The `data` of the first process, in every one; all must call this."""
    if processes() == 1:
        return data
    (size,) = arrays_from_first([np.array(divmod(len(data), BLOCK), np.int32)])
    size = int(size[0]) * BLOCK + int(size[1])
    message = np.zeros(-(-size // BLOCK) * BLOCK, np.uint8)
    if is_first():
        message[:size] = np.frombuffer(data, np.uint8)
    for start in range(0, len(message), PART):
        part = slice(start, start + PART)
        (message[part],) = arrays_from_first([message[part]])
    return message[:size].tobytes()


def description() -> str:
    """The backend and what it computes on, for people."""
    names = ", ".join(GPUS) or "the CPU"
    if NAME == "jax" and jax.device_count() > 1:
        names = f"{jax.device_count()} devices ({', '.join(dict.fromkeys(GPUS)) or 'the CPU'})"
    together = f" of {processes()} processes" if processes() > 1 else ""
    return f"{NAME} on {names}{together}"
