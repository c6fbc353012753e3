"""The gain of each faster kernel: the training step of ResNet101 with one of them off, in turn.

All variants are built in one process and train in turn on one batch of noise, so that a noisy
machine hits all alike; the ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import numpy as np

import report
import table
import workers
from contenders import orders, ours
from ferpipe.core.errors import exits_cleanly

SIZE = 64
BATCHES = (8, 32)
ROUNDS = 7
HEADER = ("variant", "ms a step, batch 8", "ratio", "ms a step, batch 32", "ratio")


def variants() -> dict[str, Callable[[], AbstractContextManager]]:
    """Each variant and what switches its kernel off while a network is built and traced."""
    from ferpipe.model import backbones
    from ferpipe.model.backend import keras, tf
    from ferpipe.training import cpu_kernels, cpu_optimizer, phase

    convolve = cpu_kernels.Convolution

    def one_by_one_stays() -> AbstractContextManager:
        able = cpu_kernels._can_convolve
        return mock.patch.object(
            cpu_kernels, "_can_convolve", lambda layer: able(layer) and layer.kernel_size != (1, 1)
        )

    def grappler() -> AbstractContextManager:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        return nullcontext()

    def biases_trained() -> AbstractContextManager:
        free = backbones.set_trainable

        def all_free(backbone: Any, trainable: bool, frozen_batchnorm: bool) -> None:
            free(backbone, trainable, frozen_batchnorm)
            for layer in backbone.layers:
                if getattr(layer, "bias", None) is not None:
                    layer.bias.trainable = True

        return mock.patch.object(backbones, "set_trainable", all_free)

    return {
        "all": nullcontext,
        "1x1 convolutions are Keras'": one_by_one_stays,
        "3x3 gradients are oneDNN's": lambda: mock.patch.object(
            convolve, "_small", lambda *_: False
        ),
        "BatchNormalization is Keras'": lambda: mock.patch.object(
            cpu_kernels, "_can_normalise", lambda _: False
        ),
        "AdamW is Keras'": lambda: mock.patch.object(
            cpu_optimizer, "AdamW", keras.optimizers.AdamW
        ),
        "biases before BatchNorm are trained": biases_trained,
        "grappler is on": grappler,
        "none of them": lambda: mock.patch.object(phase, "FASTER_KERNELS", False),
    }


def stepper(switch_off: Callable[[], AbstractContextManager], batch: int) -> Callable[[], Any]:
    """Build a network, trace its step and return it."""
    from ferpipe.data import records
    from ferpipe.model.backend import prepare
    from ferpipe.model.network import build_model
    from ferpipe.params.reader import read_section
    from ferpipe.params.train import Train
    from ferpipe.training import phase
    from ferpipe.training.loop import phases

    committed = read_section(workers.ROOT / "params.yaml", "train", Train).model_dump()
    params = Train(**committed | ours.changes("ResNet101", SIZE, batch))
    prepare(params.seed, params.precision, params.deterministic)
    images, labels = orders.random_images(batch, orders.SOURCE_SIZE, 1)
    data = records.Dataset(images, labels.astype(np.int32), [""] * batch)
    x = images.astype(np.float32)
    y = np.eye(orders.CLASSES, dtype=np.float32)[labels]
    weights = np.ones(batch, np.float32)
    with switch_off():
        model = build_model(params, orders.SOURCE_SIZE, 1, orders.CLASSES)
        fitted = phase.compile_phase(model, params, phases(params)[0], data, data)
        fitted.model.train_on_batch(x, y, sample_weight=weights)
    return lambda: fitted.model.train_on_batch(x, y, sample_weight=weights)


def measure(batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a step of every variant in each round."""
    steps = {name: stepper(switch_off, batch) for name, switch_off in variants().items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(3):
                step()
            seconds[name].append((time.perf_counter() - started) / 3)
    return seconds


@exits_cleanly("kernels")
def main() -> None:
    """Measure in turns and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    parser.add_argument("--quick", action="store_true", help="two rounds; writes no file")
    args = parser.parse_args()
    rounds = 2 if args.quick else args.rounds

    noise = report.others()
    found = [measure(batch, rounds) for batch in BATCHES]
    rows = []
    for name in found[0]:
        row = [name]
        for seconds in found:
            times = [1000 * value for value in seconds[name]]
            row += [
                table.spread(times, 0),
                table.spread(table.ratios(seconds[name], seconds["all"]), 2),
            ]
        rows.append(row)
    parts = [
        *noise,
        f"ResNet101 at {SIZE} px, mixed_bfloat16, AdamW with clipping. Median of {rounds} rounds "
        "of three steps (range),\nin turn in one process; the ratio is the time over that of all "
        "kernels in the same round.\n",
        table.markdown(HEADER, rows),
    ]
    title = "What each faster kernel is worth"
    report.publish("kernels", title, workers.versions(), parts, keep=not args.quick)


if __name__ == "__main__":
    main()
