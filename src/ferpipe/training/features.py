"""Features of images, computed by a network that is not trained: faster than the network itself."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ferpipe.core import machine
from ferpipe.core.muted import muted
from ferpipe.model import devices
from ferpipe.model.backend import keras
from ferpipe.model.folding import fold_batchnorm
from ferpipe.training.phase import FASTER_KERNELS

# Images per batch at 96 px; fewer at larger sizes, so that the maps take the same memory.
BATCH = 256
Extractor = Callable[[np.ndarray], np.ndarray]


def batch_size(side: int) -> int:
    """Images per batch for a network whose input has `side` pixels; independent of training."""
    return max(16, min(BATCH, BATCH * 96**2 // side**2))


def feature_extractor(model: keras.Model, batch: int, *, bfloat16: bool = False) -> Extractor:
    """Return a function from images (n, side, side, channels), n <= `batch`, to float32 (n, ...).

    With TensorFlow on a CPU the network is compiled with its weights as constants, which lets
    TensorFlow fold batch normalisation into convolutions and fuse activations with them. With
    `bfloat16` it then computes convolutions in bfloat16, if the processor can; a GPU ignores this.
    """
    model = fold_batchnorm(model)
    if FASTER_KERNELS:
        predict = _frozen(model, batch, bfloat16)
    else:
        predict = functools.partial(devices.predict_on_batch, model)

    def extract(images: np.ndarray) -> np.ndarray:
        # Padded: all batches have one shape, so it is compiled once and rounds alike.
        padded = np.resize(images, (batch, *images.shape[1:])).astype(np.float32)
        return np.asarray(predict(padded)[: len(images)]).astype(np.float32)

    return extract


def _frozen(model: keras.Model, batch: int, bfloat16: bool) -> Extractor:
    from tensorflow.python.framework import convert_to_constants

    from ferpipe.model.backend import tf

    shape = batch, *model.input_shape[1:]
    traced = tf.function(lambda images: model(images, training=False))
    with muted():  # it logs how many GPUs there are
        frozen = convert_to_constants.convert_variables_to_constants_v2(
            traced.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        )
    # Without the instructions oneDNN emulates bfloat16, slower than float32.
    bfloat16 = bfloat16 and "avx512_bf16" in machine.instruction_sets().split()
    options = {
        "disable_meta_optimizer": False,
        "auto_mixed_precision_onednn_bfloat16": bfloat16,
    }
    others = {"disable_meta_optimizer": True, "auto_mixed_precision_onednn_bfloat16": False}
    others |= tf.config.optimizer.get_experimental_options()

    def predict(images: np.ndarray) -> np.ndarray:
        # At every call: with other options TensorFlow compiles the graph again.
        tf.config.optimizer.set_experimental_options(options)
        try:
            return frozen(tf.constant(images))[0].numpy()
        finally:
            tf.config.optimizer.set_experimental_options(others)

    with muted():
        predict(np.zeros(shape, np.float32))
    return predict
