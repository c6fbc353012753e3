"""What keeps curves from collapsing: a training from random weights with one measure off, in turn.

It trains on data/records, of any data set, and evaluates every epoch on val, or on test where there
is no val. Every variant has the same seed, so the same batches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any
from unittest import mock

import report
import table
import workers
from contenders import ours
from ferpipe.core import paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train

BACKBONE, SIZE, BATCH, EPOCHS = "ResNet101", 48, 32, 12
# What the measures are tried with; augmentation is that of params.yaml.
RECIPE = {
    "learning_rate": 0.001,
    "schedule": "cosine",
    "warmup_epochs": 2,
    "clip_norm": 1.0,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "dropout": 0.3,
}
HEADER = ("variant", "best accuracy", "last", "largest fall", "highest loss")


def variants() -> dict[str, tuple[dict[str, Any], Callable[[], AbstractContextManager]]]:
    """Each variant: changes of params, and a context that switches a measure of the code off."""
    from ferpipe.model import backbones

    return {
        "all measures": ({}, nullcontext),
        "residual branches start at one": (
            {},
            lambda: mock.patch.object(
                backbones, "_zero_residual_branches", lambda backbone, row: None
            ),
        ),
        "BatchNorm momentum 0.99, as in Keras": (
            {},
            lambda: mock.patch.object(backbones, "set_momentum", lambda backbone, steps: None),
        ),
        "no warm-up": ({"warmup_epochs": 0}, nullcontext),
        "no clipping": ({"clip_norm": 0.0}, nullcontext),
        "none of them": (
            {"warmup_epochs": 0, "clip_norm": 0.0},
            lambda: mock.patch.multiple(
                backbones,
                _zero_residual_branches=lambda backbone, row: None,
                set_momentum=lambda backbone, steps: None,
            ),
        ),
    }


def largest_fall(accuracies: Sequence[float], warmup_epochs: int) -> float:
    """The most that an epoch after warm-up lost on the one before it, 0..1."""
    after = accuracies[max(0, warmup_epochs - 1) :]
    return max((old - new for old, new in pairwise(after)), default=0.0)


def row(name: str, accuracies: Sequence[float], losses: Sequence[float]) -> tuple[str, ...]:
    """The table's row of a training, from val accuracy and loss of each epoch.

    Warm-up counts as the recipe's for every variant, so that falls are those of the same epochs.
    """
    fall = max(0.0, largest_fall(accuracies, RECIPE["warmup_epochs"]))
    return (
        name,
        f"{max(accuracies):.1%}",
        f"{accuracies[-1]:.1%}",
        f"{100 * fall:.0f} points",
        f"{max(losses):,.2f}",
    )


@exits_cleanly("stable")
def main() -> None:
    """Train every variant and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default=BACKBONE, help="as in train.backbone")
    parser.add_argument("--size", type=int, default=SIZE, help="of its input, in pixels")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training")
    args = parser.parse_args()
    schema = records.read_schema(paths.RECORDS)
    held_out = "test" if schema.selected_on_test else "val"
    training, evaluated = (
        records.read_split(paths.RECORDS, schema, name) for name in ("train", held_out)
    )
    committed = read_section(paths.PARAMS, "train", Train).model_dump()
    noise = report.others()

    from ferpipe.training.loop import train  # TensorFlow takes seconds to import

    rows = []
    for name, (changes, without) in variants().items():
        print(f"stable: {name}", flush=True)
        values = committed | ours.changes(args.backbone, args.size, BATCH)
        values |= RECIPE | {"epochs": args.epochs, "batchnorm": "updated"} | changes
        with without():
            _, history, _ = train(Train(**values), schema, training, evaluated)
        curve = [epoch.val_accuracy for epoch in history]
        rows.append(row(name, curve, [epoch.val_loss for epoch in history]))
        print(f"stable: accuracies {' '.join(f'{value:.3f}' for value in curve)}", flush=True)
    parts = [
        *noise,
        f"{args.backbone}, {args.size} px, batch {BATCH}, {args.epochs} epochs, "
        f"{len(training.labels)} images to train on; accuracy and loss\non {len(evaluated.labels)} "
        f"{held_out} images after each epoch, one seed. The fall is the most that an epoch after "
        "the second\nlost on the one before.\n",
        table.markdown(HEADER, rows),
    ]
    report.publish("stable", "What keeps curves stable", workers.versions(), parts)


if __name__ == "__main__":
    main()
