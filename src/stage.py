"""Runs one stage: `python src/stage.py split`.

This folder goes first on Python's path, so the stage runs the code of the checkout that it lies in,
also where an editable install points to another one (DVC's queued and `--temp` experiments run in a
copy of the repository).
"""

import os
import sys

try:
    import signal
except KeyboardInterrupt:  # the import takes long enough for a Ctrl-C to fall into it
    os.write(2, f"{' '.join(sys.argv[1:2])}: interrupted\n".encode())
    os._exit(130)


def stop_at_once(number: int, _: object) -> None:
    """End in one line while there is nothing yet to tidy up; `ferpipe.process` takes over then."""
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    os.write(2, f"{' '.join(sys.argv[1:2])}: {how}\n".encode())
    os._exit(128 + number)


for number in (signal.SIGINT, signal.SIGTERM):
    # One that is ignored, as in the background of a script, stays so.
    if __name__ == "__main__" and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, stop_at_once)

import argparse  # noqa: E402 - the imports take longer than what stands above
from pathlib import Path  # noqa: E402

STAGES = ("download", "split", "preprocess", "train", "evaluate")
CV_STAGES = ("fold", "baseline", "summary")


def parser() -> argparse.ArgumentParser:
    """The command line: a stage, and what `fold` needs to know beside params.yaml."""
    top = argparse.ArgumentParser(
        prog="python src/stage.py",
        description="Runs one stage on params.yaml; `dvc repro` calls it when needed.",
    )
    stages = top.add_subparsers(required=True, dest="stage", metavar="STAGE")
    for name in (*STAGES, *CV_STAGES):
        where = "dvc.yaml" if name in STAGES else "cv/dvc.yaml"
        stage = stages.add_parser(name, help=f"of {where}")
        if name == "fold":
            stage.add_argument("--seed", type=int, required=True, help="one of cv.seeds")
            stage.add_argument("--fold", type=int, required=True, help="the test fold, from 0")
        if name in ("train", "fold"):
            stage.add_argument("--backend", default="tensorflow", help="as train.backend")
    return top


def main() -> None:
    """Run the named stage."""
    options = vars(parser().parse_args())
    name = options.pop("stage")
    if "backend" in options:
        # Keras takes its backend once, when it is imported.
        os.environ["FERPIPE_BACKEND"] = options.pop("backend")
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from ferpipe import process  # of this checkout, now that the path is set

    process.run(name, options)


if __name__ == "__main__":
    main()
