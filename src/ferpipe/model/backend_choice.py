"""Which backend Keras computes with: chosen before Keras is imported, because it asks once."""

from __future__ import annotations

import sys

name = "tensorflow"


def choose(backend: str) -> None:
    """Let Keras compute with a backend.

    Args:
        backend: `train.backend`, "tensorflow" or "jax".

    Raises:
        RuntimeError: Keras has been imported with another one.
    """
    global name
    if backend != name and "ferpipe.model.backend" in sys.modules:
        raise RuntimeError(f"Keras already computes with {name}, too late for {backend}")
    name = backend
