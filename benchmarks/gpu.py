"""ResNet101 on a GPU: this project with JAX against PyTorch, batch by batch.

The published run's sizes: an epoch of 785 images, 224 px, bfloat16. PyTorch has channels_last,
autocast and torch.compile, and finished images on the device; ours draws, augments and resizes its
cached ones of 48 px. Start-up is from the start of the process to the first finished step,
compiling included; ours keeps what it compiled in .ferpipe/xla, so it is timed without and with
that. A whole training is the second start-up and fifty epochs in the same process; ours has its
ends of epochs in it, with a prediction of one image.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import report
import table
import workers
from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from workers import Contender, Worker

OURS = Contender("ferpipe, JAX", "ours", ("--backend", "jax"))
PEER = Contender("PyTorch, compiled", "pytorch", ("--variant", "compiled"), peer=True)
SIZE, BATCHES, IMAGES, EPOCHS, ROUNDS = 224, (8, 64, 128), 785, 50, 5
HEADER = (
    "contender",
    "batch",
    "s an epoch",
    "ratio",
    "start-up, s",
    "again, s",
    "whole training, s",
)


def measure(
    size: int, batch: int, images: int, epochs: int, peer: Path, rounds: int
) -> dict[str, list[list[float]]]:
    """Seconds of each contender: first start-up, second one, whole training; each round's epoch."""
    steps = -(-images // batch)
    shutil.rmtree(workers.BENCHMARKS / paths.CACHE / "xla", ignore_errors=True)
    found: dict[str, list[list[float]]] = {}
    arguments = {"size": size, "batch": batch}
    for who in (OURS, PEER):
        with Worker(who, peer, arguments) as worker:
            first = worker.ready()
        # The peer takes steps of one batch; ours has real epochs.
        real = {"images": images, "epochs": epochs} if who is OURS else {}
        with Worker(who, peer, arguments | real) as worker:
            again = worker.ready()
            whole = again + worker.train(epochs * steps - 1)  # the first step is in the start-up
        with Worker(who, peer, arguments) as worker:
            worker.ready()
            worker.train(steps)  # warms up
            turns = [worker.train(steps) for _ in range(rounds)]
        found[who.name] = [[first, again, whole], turns]
    return found


def rows(batch: int, found: dict[str, list[list[float]]]) -> list[tuple[object, ...]]:
    """The table's rows of a batch; the ratio is of epochs, below 1 is faster than PyTorch."""
    made = []
    for name, (wholes, epochs) in found.items():
        ratio = table.spread(table.ratios(epochs, found[PEER.name][1]), 2)
        starts = tuple(f"{seconds:.1f}" for seconds in wholes)
        shown = "1" if name == PEER.name else ratio
        made.append((name, batch, table.spread(epochs, 2), shown, *starts))
    return made


@exits_cleanly("gpu")
def main() -> None:
    """Measure the batches asked for and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="images in a step")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="epochs of each contender")
    parser.add_argument(
        "--quick", action="store_true", help="32 px, 16 images, on a processor too; writes no file"
    )
    workers.add_peer(parser)
    args = parser.parse_args()
    versions = workers.versions(args.peer)
    noise = report.others()
    device = workers.gpu(args.peer)
    if device is None and not args.quick:
        raise PipelineError("PyTorch sees no GPU; --quick tries this on a processor")

    size, images, batches = (32, 16, (8,)) if args.quick else (SIZE, IMAGES, args.batches)
    epochs = 2 if args.quick else EPOCHS
    made = []
    for batch in batches:
        print(f"gpu: batch {batch}", flush=True)
        made += rows(batch, measure(size, batch, images, epochs, args.peer, args.rounds))
    parts = [
        *noise,
        f"GPU: {device or 'none'}. Seconds of an epoch of {images} images at {size} px: median of "
        f"{args.rounds} (range). A whole training has {epochs} epochs.\n",
        table.markdown(HEADER, made),
    ]
    report.publish("gpu", "ResNet101 on a GPU", versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
