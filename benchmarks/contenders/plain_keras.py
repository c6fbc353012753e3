"""Keras as its guides show it: ResNet101 of keras.applications, `compile`, `fit` on arrays.

With `--data` and `--save` it is a whole short run: two epochs on given images, then the model.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from contenders import orders

os.environ["KERAS_BACKEND"] = "tensorflow"


def network(size: int) -> Any:
    """The compiled model: images -1..1 in, logits out."""
    import keras

    image = keras.Input((size, size, 3))
    backbone = keras.applications.ResNet101(
        weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3)
    )
    logits = keras.layers.Dense(orders.CLASSES, dtype="float32")(backbone(image))
    model = keras.Model(image, logits)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            orders.LEARNING_RATE,
            weight_decay=orders.WEIGHT_DECAY,
            global_clipnorm=orders.CLIP_NORM,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def scaled(images: np.ndarray) -> np.ndarray:
    """Images uint8 as float32, -1..1."""
    return images.astype(np.float32) / 127.5 - 1.0


def build(size: int, batch: int) -> Callable[[int], float]:
    """The network as a function that trains so many steps."""
    model = network(size)
    images, labels = orders.random_images(batch, size, 3)
    images = scaled(images)

    def train(steps: int) -> float:
        x = np.tile(images, (steps, 1, 1, 1))
        y = np.tile(labels, steps)
        started = time.perf_counter()
        model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
        return time.perf_counter() - started

    return train


def run(data: str, save: str, size: int, batch: int, epochs: int) -> None:
    """Train on a file's images and save the model."""
    arrays = np.load(data)
    model = network(size)
    model.fit(
        scaled(arrays["train_images"]),
        arrays["train_labels"],
        batch_size=batch,
        epochs=epochs,
        validation_data=(scaled(arrays["val_images"]), arrays["val_labels"]),
        verbose=0,
    )
    model.save(save)


def main() -> None:
    """Build, then take orders; or one whole run."""
    parser = orders.parser(["float32", "mixed_bfloat16"])
    parser.add_argument("--data", help="npz of images to train on, for a whole run")
    parser.add_argument("--save", help="where a whole run saves the model, a .keras file")
    parser.add_argument("--epochs", type=int, default=2, help="of a whole run")
    args = parser.parse_args()
    answer_to = orders.answers()
    import keras

    keras.config.set_dtype_policy(args.variant)
    if args.data:
        run(args.data, args.save, args.size, args.batch, args.epochs)
    else:
        orders.serve(answer_to, build(args.size, args.batch))


if __name__ == "__main__":
    main()
