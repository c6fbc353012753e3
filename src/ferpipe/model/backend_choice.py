"""The backend of Keras, chosen before Keras is imported, because it reads its backend once."""

from __future__ import annotations

import sys

name = "tensorflow"


def choose(backend: str) -> None:
    """Set `train.backend`, "tensorflow" or "jax"; RuntimeError if Keras already has the other."""
    global name
    if backend != name and "ferpipe.model.backend" in sys.modules:
        raise RuntimeError(f"Keras already computes with {name}, too late for {backend}")
    name = backend
