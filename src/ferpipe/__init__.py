"""ferpipe: a facial expression recognition pipeline on DVC."""

from __future__ import annotations

__all__ = ["Predictor"]


def __getattr__(name: str) -> object:
    """Import `Predictor` when it is used: it needs TensorFlow, which takes seconds."""
    if name == "Predictor":
        from ferpipe.prediction.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
