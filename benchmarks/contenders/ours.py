"""Our contender: `ferpipe.training.loop.train` itself, stopped between steps until its next turn.

Its steps are thus all that an epoch does for a batch: indices, augmentation, labels, learning rate,
`train_on_batch`, progress bar. `--variant inputs` leaves the training out of it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from contenders import orders

ROOT = Path(__file__).resolve().parents[2]
# Steps of an epoch: more than any turn has, because val is evaluated at its end.
EPOCH_STEPS = 1000


def changes(backbone: str, size: int, batch: int) -> dict[str, Any]:
    """What differs from the section `train` of the committed params.yaml."""
    return {
        "backbone": backbone,
        "weights": "none",
        "weights_sha256": None,
        "input_size": size,
        "batch_size": batch,
        "head": "trained",
        "ridge": 0.3,
        "head_epochs": 0,
        "epochs": 2,
        "learning_rate": orders.LEARNING_RATE,
        "schedule": "constant",
        "warmup_epochs": 0,
        "optimizer": "adamw",
        "weight_decay": orders.WEIGHT_DECAY,
        "clip_norm": orders.CLIP_NORM,
        # The others have neither.
        "label_smoothing": 0.0,
        "dropout": 0.0,
        "early_stopping": 0,
        "precision": "mixed_bfloat16",
        "deterministic": False,
    }


def take_turns(answer_to: TextIO, trains: bool) -> None:
    """Make every `train_on_batch` count as a step of a turn, and wait where the turn ends."""
    from ferpipe.model.backend import keras

    real = keras.Model.train_on_batch
    turns: orders.Turns | None = None
    left, started = 1, 0.0

    def step(model: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal turns, left, started
        if turns is None:
            turns, started = orders.Turns(answer_to), time.perf_counter()
        if trains:
            result = real(model, images, *args, **kwargs)
        else:
            result = float(np.asarray(images).size == 0), 0.0  # the batch is computed by now
        left -= 1
        if left == 0:
            left = turns.end(time.perf_counter() - started)
            if left == 0:
                sys.exit()
            started = time.perf_counter()
        return result

    keras.Model.train_on_batch = step


def main() -> None:
    """Train on noise, in turns."""
    parser = orders.parser(["step", "inputs"])
    parser.add_argument("--backbone", default="ResNet101")
    parser.add_argument("--backend", default="tensorflow", choices=["tensorflow", "jax"])
    parser.add_argument("--images", type=int, help=f"in an epoch; default: {EPOCH_STEPS} batches")
    parser.add_argument("--epochs", type=int, default=2, help="after which it ends; default: 2")
    args = parser.parse_args()
    answer_to = orders.answers()

    # As in src/stage.py: the code of this checkout.
    sys.path.insert(0, str(ROOT / "src"))
    from ferpipe.data import records
    from ferpipe.model import backend_choice
    from ferpipe.params.reader import read_section
    from ferpipe.params.train import Train

    backend_choice.choose(args.backend)  # before anything imports Keras
    from ferpipe.training.loop import train

    committed = read_section(ROOT / "params.yaml", "train", Train).model_dump()
    changed = changes(args.backbone, args.size, args.batch) | {
        "backend": args.backend,
        "epochs": args.epochs,
    }
    params = Train(**committed | changed)
    count = args.images or EPOCH_STEPS * args.batch
    images, labels = orders.random_images(count, orders.SOURCE_SIZE, 1)
    training = records.Dataset(images, labels.astype(np.int32), [""] * count)
    choosing = records.Dataset(images[:1], training.labels[:1], [""])
    schema = records.Schema(
        image_size=orders.SOURCE_SIZE,
        channels=1,
        classes=[f"class {number}" for number in range(orders.CLASSES)],
        shards={},
        images={},
        sha256={},
        selected_on_test=False,
    )
    take_turns(answer_to, trains=args.variant == "step")
    train(params, schema, training, choosing)


if __name__ == "__main__":
    main()
