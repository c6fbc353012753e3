"""Features of images by a network that is not trained: this project, Keras and PyTorch, in turn.

MobileNetV2 and ResNet101 without their heads, averaged over the last feature map. This is nearly
all of the time that a solved head takes. All get uint8 images of the size, scale them to -1..1 and
return float32. Batch normalisation has weights that differ from the identity, as trained ones do.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

import report
import table
import workers
from ferpipe.core.errors import exits_cleanly
from step import Setting, take_turns
from workers import Contender, Worker

OURS, PYTORCH = "features_ours", "features_pytorch"
CONTENDERS = (
    Contender("ferpipe, bfloat16", OURS),
    Contender("ferpipe, float32", OURS, ("--variant", "float32")),
    Contender("plain Keras, float32", OURS, ("--variant", "keras")),
    Contender("PyTorch, bfloat16", PYTORCH, peer=True),
    Contender("PyTorch, bfloat16, frozen", PYTORCH, ("--variant", "frozen"), peer=True),
)
BACKBONES = ("MobileNetV2", "ResNet101")
SIZES = (96, 224)
# Images in a batch at 96 px; at other sizes as many pixels.
BATCH = 128
ROUNDS = 5
TURN_SECONDS = 3.0
HEADER = ("contender", "network", "px", "images/s", "to PyTorch", "to PyTorch, frozen", "peak GiB")


def measure(backbone: str, size: int, peer: Path, rounds: int, turn_seconds: float) -> Setting:
    """Measure all contenders with a network at a size."""
    setting = Setting(size, max(1, BATCH * 96**2 // size**2))
    arguments = {"backbone": backbone, "size": size, "batch": setting.batch}
    with ExitStack() as stack:
        running = []
        for who in CONTENDERS:  # one after another: PyTorch's threads would delay the others
            running.append(stack.enter_context(Worker(who, peer, arguments)))
            running[-1].ready()
        take_turns(setting, running, rounds, turn_seconds)
    return setting


def rows(backbone: str, setting: Setting) -> list[tuple[object, ...]]:
    """The table's rows of a network at a size, in the order of `CONTENDERS`."""
    peers = [setting.speeds[who.name] for who in CONTENDERS if who.peer]
    return [
        (
            who.name,
            backbone,
            setting.size,
            table.spread(setting.speeds[who.name], 0),
            *(table.spread(table.ratios(setting.speeds[who.name], peer), 2) for peer in peers),
            f"{setting.peaks[who.name] / report.GIB:.1f}",
        )
        for who in CONTENDERS
    ]


@exits_cleanly("features")
def main() -> None:
    """Measure the networks and sizes asked for and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--backbones", nargs="+", choices=BACKBONES, default=BACKBONES, help="both by default"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="in pixels; 96 224")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each contender")
    parser.add_argument(
        "--quick", action="store_true", help="MobileNetV2, 32 px, two short rounds; writes no file"
    )
    workers.add_peer(parser)
    args = parser.parse_args()
    versions = workers.versions(args.peer)

    backbones, sizes, rounds, turn = args.backbones, args.sizes, args.rounds, TURN_SECONDS
    if args.quick:
        backbones, sizes, rounds, turn = ("MobileNetV2",), (32,), 2, 0.1
    made, noise = [], report.others()
    for backbone in backbones:
        for size in sizes:
            print(f"features: {backbone}, {size} px", flush=True)
            made += rows(backbone, measure(backbone, size, args.peer, rounds, turn))
    parts = [
        *noise,
        f"Batches of {BATCH} images at 96 px, and as many pixels at other sizes. Median over the "
        "rounds (range); ratios round by\nround, above 1 is faster than PyTorch. Frozen: "
        "`torch.jit.freeze` and `torch.jit.optimize_for_inference`.\n",
        table.markdown(HEADER, made),
    ]
    title = "Features of a network that is not trained"
    report.publish("features", title, versions, parts, keep=not args.quick)


if __name__ == "__main__":
    main()
