"""Errors of TensorFlow and JAX that the user can fix, recognised without importing either."""

from __future__ import annotations

import re

# Keras raises some as a plain RuntimeError. Whether it is one of these, the text decides.
CLASSES = (
    *("ResourceExhaustedError", "InternalError", "UnknownError", "UnimplementedError"),
    *("JaxRuntimeError", "XlaRuntimeError", "RuntimeError"),
)
# "Dst tensor" is what TensorFlow says if a GPU is too full for a copy.
MEMORY = re.compile(
    r"RESOURCE_EXHAUSTED|\bOOM\b|[Oo]ut of memory|OUT_OF_MEMORY|_ALLOC_FAILED|"
    r"Dst tensor is not initialized"
)
# Its texts for kernels that `enable_op_determinism` forbids on a GPU (2.21).
NOT_DETERMINISTIC = re.compile(
    r"deterministic GPU implementation of (.+?),? (?:when|is not|not) |"
    r"implementation of (\S+) that would have been executed is not deterministic|"
    r"Determinism is not yet supported (?:for|in) (?:GPU implementation of )?(\S+?)\.?( |$)",
    re.IGNORECASE,
)


def explain(error: Exception, *, training: bool) -> str | None:
    """The remedy in one line, for a program that trains or not; None for any other error."""
    text = " ".join(str(error).split())
    known = type(error).__name__ in CLASSES
    if isinstance(error, MemoryError) or (known and MEMORY.search(text)):
        others = "end other programs that use the same memory"
        if not training:
            return f"out of memory; {others}, or train a network with a smaller train.input_size"
        return (
            "out of memory; lower train.batch_size or train.input_size, set train.precision to "
            f"mixed_bfloat16, or {others}"
        )
    if known and (match := NOT_DETERMINISTIC.search(text)):
        kernel = match[1] or match[2] or match[3]
        return (
            f"TensorFlow has no deterministic kernel of {kernel} for this GPU; set "
            "train.deterministic to false, or train.backend to jax"
        )
    return None
