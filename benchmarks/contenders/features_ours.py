"""Features of images: this project's extractor, and Keras' own `predict_on_batch`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contenders import orders

ROOT = Path(__file__).resolve().parents[2]


def build(variant: str, backbone: str, size: int, batch: int) -> Callable[[int], float]:
    """The network as a function that predicts so many batches."""
    sys.path.insert(0, str(ROOT / "src"))
    from ferpipe.model.backend import keras, prepare
    from ferpipe.training.features import feature_extractor

    prepare(0)
    model = getattr(keras.applications, backbone)(
        weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3)
    )
    # A new network's batch normalisation is the identity, which compilers leave out.
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.weights:
                variable.assign(rng.uniform(0.9, 1.1, variable.shape))
    predict = model.predict_on_batch
    if variant != "keras":
        predict = feature_extractor(model, batch, bfloat16=variant == "bfloat16")
    images, _ = orders.random_images(batch, size, 3)

    def run(batches: int) -> float:
        started = time.perf_counter()
        for _ in range(batches):
            features = predict(images.astype(np.float32) / 127.5 - 1.0)
            assert features.dtype == np.float32
        return time.perf_counter() - started

    return run


def main() -> None:
    """Build, then take orders."""
    parser = orders.parser(["bfloat16", "float32", "keras"])
    parser.add_argument("--backbone", default="MobileNetV2")
    args = parser.parse_args()
    answer_to = orders.answers()
    orders.serve(answer_to, build(args.variant, args.backbone, args.size, args.batch))


if __name__ == "__main__":
    main()
