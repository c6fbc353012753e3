import numpy as np
import pytest

from ferpipe.core.device_errors import explain


def error(kind, text):
    return type(kind, (Exception,), {})(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ResourceExhaustedError", "{{function_node __x}} OOM when allocating tensor [Op:Fill]"),
        ("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12 bytes."),
        ("XlaRuntimeError", "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        ("InternalError", "cudaSetDevice() on GPU:0 failed. Status: out of memory"),
        ("InternalError", "Failed copying input tensor: Dst tensor is not initialized."),
        ("UnknownError", "CUDNN_STATUS_ALLOC_FAILED in tensorflow/stream_executor"),
        # As Keras raises what happens in a layer.
        ("RuntimeError", "Exception encountered when calling Conv2D.call().\n\nOOM when alloc"),
    ],
)
def test_a_full_memory_is_recognised_whoever_says_so(kind, text):
    assert explain(error(kind, text), training=True).startswith(
        "out of memory; lower train.batch_size or train."
    )


def test_a_full_memory_of_numpy_is_one_too():
    with pytest.raises(MemoryError) as full:
        np.ones(2**56, np.uint8)
    assert explain(full.value, training=True).startswith("out of memory; ")


def test_who_does_not_train_is_not_told_to_lower_the_batch():
    assert explain(MemoryError(), training=False).startswith("out of memory; end other programs ")


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        (
            "{{function_node __wrapped__AdjustContrastv2_device}} A deterministic GPU "
            "implementation of AdjustContrastv2 is not currently available. [Op:AdjustContrastv2]",
            "AdjustContrastv2",
        ),
        (
            "A deterministic GPU implementation of fused batch-norm backprop, when training is "
            "disabled, is not currently available.\n[Op:FusedBatchNormGradV3]",
            "fused batch-norm backprop",
        ),
        (
            "The GPU implementation of SparseSoftmaxCrossEntropyWithLogits that would have been "
            "executed is not deterministic. Note that the Python API uses an alternative",
            "SparseSoftmaxCrossEntropyWithLogits",
        ),
        (
            "Deterministic GPU implementation of unsorted segment reduction op not available.",
            "unsorted segment reduction op",
        ),
        ("Determinism is not yet supported in GPU implementation of Bincount.", "Bincount"),
        (
            "Determinism is not yet supported for DebugNumericSummaryV2 when",
            "DebugNumericSummaryV2",
        ),
    ],
)
def test_a_kernel_that_is_not_deterministic_is_named_with_the_remedy(text, kernel):
    assert explain(error("UnimplementedError", text), training=True) == (
        f"TensorFlow has no deterministic kernel of {kernel} for this GPU; set "
        "train.deterministic to false, or train.backend to jax"
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ValueError", "out of memory"),
        ("UnimplementedError", "DNN library is not found."),
        ("RuntimeError", "Random ops require a seed to be set when determinism is enabled."),
        ("RuntimeError", "there is ROOM, ZOOM and MOOM"),
        ("InternalError", "ptxas exited with non-zero error code"),
    ],
)
def test_other_errors_are_not_explained(kind, text):
    assert explain(error(kind, text), training=True) is None
