"""The options of commands that have many; what runs them is imported only then."""

from __future__ import annotations

import argparse
from pathlib import Path


def cross_validate(command: argparse.ArgumentParser) -> None:
    """Add the options of `ferpipe cv`."""
    add = command.add_argument
    add("--jobs", type=positive, default=1, metavar="N", help="folds at a time; default: 1")
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--part",
        metavar="K/N",
        help="train every N-th fold, from the K-th, unless the DVC remote has it; then push them",
    )
    which.add_argument(
        "--pull", action="store_true", help="take the folds from the remote, and sum up all"
    )


def predict(command: argparse.ArgumentParser) -> None:
    """Add the options of `ferpipe predict`."""
    add = command.add_argument
    add("paths", nargs="+", metavar="PATH", help="a picture, video, folder, pattern, or -")
    add("--cropped", action="store_true", help="each picture is a face, framed as in training")
    _threshold(command)
    add(
        "--min-size",
        type=positive,
        default=40,
        metavar="PIXELS",
        help="longer side of the smallest face; default: 40",
    )
    add(
        "--min-confidence",
        type=fraction,
        default=0.9,
        metavar="P",
        help="of the detector, for the least sure face; default: 0.9",
    )
    add("--every", type=positive, default=1, metavar="N", help="every N-th frame; default: 1")
    add("--csv", type=Path, metavar="FILE", help="write a row for each face")
    add("--json", type=Path, metavar="FILE", help="the same as JSON")
    add("--annotate", type=Path, metavar="FOLDER", help="write the pictures with boxes and bars")
    add(
        "--explain",
        action="store_true",
        help="with --annotate: write each face with a heat map of where the model looked, too",
    )


def app(command: argparse.ArgumentParser) -> None:
    """Add the options of `ferpipe app`."""
    add = command.add_argument
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on; default: 127.0.0.1, for this machine alone",
    )
    add("--port", type=port, default=7860, help="default: 7860; 0: a free one")
    _threshold(command)


def _threshold(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threshold",
        type=fraction,
        default=0.0,
        metavar="P",
        help="a class of a smaller probability is `unsure`; default: 0",
    )


def train(command: argparse.ArgumentParser) -> None:
    """Add the options of `ferpipe train`, which count before variables and cluster."""
    add = command.add_argument
    add("--processes", type=positive, metavar="N", help="on this machine, or in all; default: 1")
    add("--coordinator", metavar="HOST:PORT", help="of process 0, for several machines")
    add("--process", type=int, metavar="K", help="number of this one, from 0, for several machines")
    add("--wait", type=positive, metavar="SECONDS", help="for another process; default: 60")


def export(command: argparse.ArgumentParser) -> None:
    """Add the options of `ferpipe export`."""
    add = command.add_argument
    add("--format", required=True, help="onnx, litert or saved-model")
    add("--output", type=Path, metavar="PATH", help="default: beside the model")
    add("--dtype", default="uint8", help="of the images: uint8 (default), float32")
    add("--quantize", help="int8: weights and values in 8 bits; litert only")


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def positive(text: str) -> int:
    """A whole number above 0."""
    if (value := int(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def port(text: str) -> int:
    """A port of TCP, or 0."""
    if not 0 <= (value := int(text)) < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 65535")
    return value
