"""What a user should know of the GPU before a run: whether it is used, and what is fast on it."""

from __future__ import annotations

from collections.abc import Sequence

from ferpipe.core import machine

# The first compute capability with tensor cores for it: Ampere and Volta.
LEAST = {"mixed_bfloat16": (8, 0), "mixed_float16": (7, 0)}


def notes(
    backend: str, gpus: Sequence[str], capabilities: Sequence[tuple[int, int]], precision: str
) -> list[str]:
    """Notes of a line each, usually none.

    The precision is not chosen by the card: the same params would be another experiment on another
    card, and the folds of one cross-validation could differ in it.

    Args:
        backend: tensorflow or jax.
        gpus: the names of the GPUs that it uses.
        capabilities: CUDA's compute capability of each.
        precision: of the computation, such as "mixed_bfloat16".
    """
    if not gpus:
        # None are visible where someone has hidden them on purpose.
        cards = machine.nvidia_cards() if machine.visible_gpus() else []
        return [_not_used(backend, cards[0])] if cards else []
    slowest = min(capabilities, default=LEAST["mixed_bfloat16"])
    least = LEAST.get(precision)
    if least is None or slowest >= least:
        return []
    better = "mixed_float16" if slowest >= LEAST["mixed_float16"] else "float32"
    name = gpus[list(capabilities).index(slowest)]
    return [f"{name} has no hardware for {precision}; it is faster with train.precision {better}"]


def _not_used(backend: str, card: str) -> str:
    why = "TF_CPP_MIN_LOG_LEVEL=0" if backend == "tensorflow" else "JAX_PLATFORMS=cuda"
    return (
        f"this machine has an NVIDIA card ({card}), but {backend} computes on the processor; "
        f"`make venv GPU=1` installs the CUDA libraries, and with {why} in the environment a run "
        "says why it finds none"
    )
