"""The input pipeline alone, and its share of a training step.

Reading records is `records.read_split`, once in a training. Batches are made in each step: the
project's own epochs run, with `train_on_batch` replaced by nothing. A pipeline that makes many
times what the step takes is not what to speed up.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import report
import table
import workers
from contenders import orders, ours
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import records, tfrecord
from ferpipe.data.split_writer import SplitWriter
from workers import Contender, Worker

INPUTS = Contender(
    "batches of 32, augmented", "ours", ("--variant", "inputs", "--backbone", "compact")
)
COMPACT = Contender("step of compact, 48 px", "ours", ("--backbone", "compact", "--size", "48"))
RESNET = Contender("step of ResNet101, 64 px", "ours", ("--size", "64"))
CONTENDERS = (INPUTS, COMPACT, RESNET)
BATCH = 32
READ = "reading records, 48 px"
ROUNDS = 5
TURN_SECONDS = 2.0
HEADER = ("what", "images/s", "ms for 32 images", "share of compact's step", "of ResNet101's")


def write_records(folder: Path, count: int) -> records.Schema:
    """Write a shard of noise faces."""
    images, labels = orders.random_images(count, orders.SOURCE_SIZE, 1)
    with SplitWriter(folder, "train", count, shard_size=count) as writer:
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.add(tfrecord.encode(image, int(label), f"face/{row}.png"))
        writer.finish()
    return records.Schema(
        image_size=orders.SOURCE_SIZE,
        channels=1,
        classes=[f"class {number}" for number in range(orders.CLASSES)],
        shards={"train": writer.shards},
        images={"train": count},
        sha256=writer.sha256,
        selected_on_test=False,
    )


def reading(folder: Path, schema: records.Schema) -> float:
    """Images a second of `records.read_split`."""
    started = time.perf_counter()
    read = records.read_split(folder, schema, "train")
    return len(read.labels) / (time.perf_counter() - started)


def rows(speeds: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """The table's rows: each one's speed, and its time as a share of the steps' time."""
    steps = [speeds[COMPACT.name], speeds[RESNET.name]]
    made = []
    for name, values in speeds.items():
        times = [1000 * BATCH / speed for speed in values]
        shares = [
            ""
            if name in (COMPACT.name, RESNET.name)
            else table.spread([100 * ratio for ratio in table.ratios(step, values)], 2) + " %"
            for step in steps
        ]
        made.append((name, table.spread(values, 0), table.spread(times, 2), *shares))
    return made


@exits_cleanly("inputs")
def main() -> None:
    """Measure in turns and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    parser.add_argument("--quick", action="store_true", help="two short rounds; writes no file")
    args = parser.parse_args()
    rounds, turn, count = args.rounds, TURN_SECONDS, 10_000
    if args.quick:
        rounds, turn, count = 2, 0.1, 1000

    noise = report.others()
    speeds: dict[str, list[float]] = {READ: [], **{who.name: [] for who in CONTENDERS}}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        schema = write_records(folder, count)
        running = [
            stack.enter_context(Worker(who, workers.PEER, {"batch": BATCH})) for who in CONTENDERS
        ]
        for worker in running:
            worker.ready()
        # Warms up, and gives the number of steps in a turn: here each contender has its own.
        most = (ours.EPOCH_STEPS - 3) // rounds
        steps = {w: max(1, min(most, round(turn / (w.train(2) / 2)))) for w in running}
        for _ in range(rounds):
            speeds[READ].append(reading(folder, schema))
            for worker in running:
                speed = steps[worker] * BATCH / worker.train(steps[worker])
                speeds[worker.contender.name].append(speed)
    parts = [
        *noise,
        f"Median of {rounds} rounds (range), in turn. A share is the time for as many images over "
        "the step's, which\nmakes its own batches too; reading happens once, before the first "
        "epoch.\n",
        table.markdown(HEADER, rows(speeds)),
    ]
    title = "The input pipeline"
    report.publish("inputs", title, workers.versions(), parts, keep=not args.quick)


if __name__ == "__main__":
    main()
