"""ResNet101 on a GPU: this project with JAX against PyTorch, batch by batch.

The published run's sizes: an epoch of 785 images, 224 px, bfloat16. PyTorch has channels_last,
autocast and torch.compile, and finished images on the device; ours draws, augments and resizes its
cached ones of 48 px. Start-up is from the start of the process to the first finished step,
compiling included; ours keeps what it compiled in .ferpipe/xla, so it is timed without and with
that. A whole training is not run: it is computed, as the second start-up
and 50 mean epochs of steps.
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
    "50 epochs, s (computed)",
)


def measure(
    size: int, batch: int, images: int, peer: Path, rounds: int
) -> dict[str, list[list[float]]]:
    """Seconds of each contender: its first and second start-up, and each round's epoch."""
    steps = -(-images // batch)
    shutil.rmtree(workers.BENCHMARKS / paths.CACHE / "xla", ignore_errors=True)
    found: dict[str, list[list[float]]] = {}
    for who in (OURS, PEER):
        with Worker(who, peer, {"size": size, "batch": batch}) as worker:
            first = worker.ready()
        with Worker(who, peer, {"size": size, "batch": batch}) as worker:
            again = worker.ready()
            worker.train(steps)  # warms up
            found[who.name] = [[first, again], [worker.train(steps) for _ in range(rounds)]]
    return found


def rows(batch: int, found: dict[str, list[list[float]]]) -> list[tuple[object, ...]]:
    """The table's rows of a batch; the ratio is of epochs, below 1 is faster than PyTorch."""
    made = []
    for name, ((first, again), epochs) in found.items():
        ratio = table.spread(table.ratios(epochs, found[PEER.name][1]), 2)
        whole = again + EPOCHS * sum(epochs) / len(epochs)
        starts = (f"{first:.1f}", f"{again:.1f}", f"{whole:.1f}")
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
    made = []
    for batch in batches:
        print(f"gpu: batch {batch}", flush=True)
        made += rows(batch, measure(size, batch, images, args.peer, args.rounds))
    parts = [
        *noise,
        f"GPU: {device or 'none'}. Seconds of an epoch of {images} images at {size} px: median of "
        f"{args.rounds} (range).\n",
        table.markdown(HEADER, made),
    ]
    report.publish("gpu", "ResNet101 on a GPU", versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
