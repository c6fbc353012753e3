"""One full training step of ResNet101: this project, plain Keras and PyTorch, in turn.

Forward, backward and optimizer: AdamW with weight decay and the gradients' norm clipped to 1, seven
classes. Ours is all that `ferpipe.training.epoch.run_epoch` does for a batch: cached gray images of
48 px are drawn, augmented and resized in the model. The others get finished arrays of the size, so
they do less. The contenders of a size and batch are started, then train in turn, in several rounds,
so that a noisy machine hits all alike; the ratio to PyTorch is taken round by round. Where one step
takes longer than a turn there are three rounds, and where memory holds one contender only, each has
it to itself.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import report
import table
import workers
from ferpipe.core.errors import PipelineError, exits_cleanly
from workers import Contender, Worker

CONTENDERS = (
    workers.OURS,
    workers.KERAS,
    workers.KERAS_BFLOAT16,
    workers.PYTORCH,
    workers.PYTORCH_DEFAULT,
)
SIZES = (48, 64, 96, 224)
BATCHES = (8, 32, 64)
ROUNDS = 5
# Where one step takes longer than a turn, three rounds are enough.
SLOW_ROUNDS = 3
TURN_SECONDS = 2.0
HEADER = ("contender", "px", "batch", "images/s", "ratio to PyTorch", "rounds", "peak GiB")


@dataclass
class Setting:
    """A size and batch, and what was measured of it: images/s in each round, peak bytes."""

    size: int
    batch: int
    speeds: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def steps_in_turn(step_seconds: list[float], turn_seconds: float) -> int:
    """Steps of every turn, the same for all, so that a turn of the median lasts so long."""
    return max(1, round(turn_seconds / statistics.median(step_seconds)))


def fit_together(built: int, peak: int, others: int, available: int) -> bool:
    """Whether memory can hold the other contenders together with ours.

    Args:
        built: what ours held before its first step, in bytes.
        peak: what it held at most after it.
        others: how many more there are.
        available: bytes that are left.
    """
    # The others may compute in float32, which takes twice the memory of bfloat16.
    return others * (built + 2 * (peak - built)) < 0.8 * available


def reference(speeds: dict[str, list[float]]) -> str | None:
    """The name of the faster contender of PyTorch."""
    names = [c.name for c in CONTENDERS if c.peer and speeds.get(c.name)]
    return max(names, key=lambda name: statistics.median(speeds[name]), default=None)


def measure(size: int, batch: int, peer: Path, rounds: int, turn_seconds: float) -> Setting:
    """Measure all contenders at a size and batch.

    Raises:
        PipelineError: a contender has failed while it shared the machine with the others.
    """
    setting = Setting(size, batch)
    arguments = {"size": size, "batch": batch}
    with ExitStack() as stack:
        ours = stack.enter_context(Worker(CONTENDERS[0], peer, arguments))
        ours.ready()
        rest = CONTENDERS[1:]
        available = report.available_memory()
        if fit_together(ours.built, ours.peak, len(rest), available):
            # Start-up is not timed here. Keras traces on one core, so both of its contenders start
            # at once; PyTorch's threads would only get in each other's way.
            waiting = [stack.enter_context(Worker(w, peer, arguments)) for w in rest if not w.peer]
            for worker in waiting:
                worker.ready()
            for who in rest:
                if who.peer:
                    waiting.append(stack.enter_context(Worker(who, peer, arguments)))
                    waiting[-1].ready()
            take_turns(setting, [ours, *waiting], rounds, turn_seconds)
            return setting
    setting.remarks.append(
        f"{size} px, batch {batch}: memory holds one contender at a time, so each took its rounds "
        "in one go and the ratio compares different minutes."
    )
    for who in CONTENDERS:
        alone(setting, who, peer, turn_seconds)
    return setting


def take_turns(setting: Setting, running: list[Worker], rounds: int, turn_seconds: float) -> None:
    """Let the workers train in turn, each first once in a while."""
    # The second and third step warm up and tell how many steps a turn has.
    seconds = [worker.train(2) / 2 for worker in running]
    steps = steps_in_turn(seconds, turn_seconds)
    if steps == 1:
        rounds = min(rounds, SLOW_ROUNDS)
    for number in range(rounds):
        first = number % len(running)
        for worker in running[first:] + running[:first]:
            speed = steps * setting.batch / worker.train(steps)
            setting.speeds.setdefault(worker.contender.name, []).append(speed)
    for worker in running:
        setting.peaks[worker.contender.name] = worker.peak


def alone(setting: Setting, who: Contender, peer: Path, turn_seconds: float) -> None:
    """Measure one contender with the machine to itself; one that memory cannot hold is left out."""
    try:
        with Worker(who, peer, {"size": setting.size, "batch": setting.batch}) as worker:
            worker.ready()
            take_turns(setting, [worker], SLOW_ROUNDS, turn_seconds)
    except PipelineError as error:
        setting.speeds.pop(who.name, None)
        setting.remarks.append(f"{setting.size} px, batch {setting.batch}: {error}.")


def rows(setting: Setting) -> list[tuple[object, ...]]:
    """The table's rows of a setting, in the order of `CONTENDERS`."""
    best = reference(setting.speeds)
    made = []
    for who in CONTENDERS:
        speeds = setting.speeds.get(who.name)
        if not speeds:
            continue
        ratio = table.spread(table.ratios(speeds, setting.speeds[best]), 2) if best else ""
        made.append(
            (
                who.name,
                setting.size,
                setting.batch,
                table.spread(speeds),
                "1" if who.name == best else ratio,
                len(speeds),
                f"{setting.peaks[who.name] / report.GIB:.1f}",
            )
        )
    return made


@exits_cleanly("step")
def main() -> None:
    """Measure the settings asked for and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="in pixels; 48 64 96 224"
    )
    parser.add_argument(
        "--batches", type=int, nargs="+", default=BATCHES, help="images in a step; 8 32 64"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each contender")
    parser.add_argument(
        "--quick", action="store_true", help="48 px, batch 8, two short rounds; writes no file"
    )
    workers.add_peer(parser)
    args = parser.parse_args()
    versions = workers.versions(args.peer)

    sizes, batches, rounds, turn = args.sizes, args.batches, args.rounds, TURN_SECONDS
    if args.quick:
        sizes, batches, rounds, turn = (48,), (8,), 2, 0.1
    settings, noise = [], report.others()
    for size in sizes:
        for batch in batches:
            print(f"step: {size} px, batch {batch}", flush=True)
            settings.append(measure(size, batch, args.peer, rounds, turn))
    parts = [
        *noise,
        "Images a second: median over the rounds (range). Ratio: each round's images a second over "
        "those of the\nfaster PyTorch, median (range); above 1 is faster than PyTorch.\n",
        table.markdown(HEADER, [row for setting in settings for row in rows(setting)]),
        *(f"{remark}\n" for setting in settings for remark in setting.remarks),
    ]
    title = "A training step of ResNet101"
    report.publish("step", title, versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
