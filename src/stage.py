"""Runs one stage: `python src/stage.py split`.

This folder goes first on Python's path, so the stage runs the code of the checkout that it lies in,
also where an editable install points to another one (DVC's queued and `--temp` experiments run in a
copy of the repository).
"""

import importlib
import sys
from pathlib import Path

STAGES = ("download", "split", "preprocess", "train", "evaluate")


def main() -> None:
    """Import the named stage and run it."""
    if len(sys.argv) != 2 or sys.argv[1] not in STAGES:
        usage = f"usage: python src/stage.py {{{','.join(STAGES)}}}"
        if sys.argv[1:] in (["-h"], ["--help"]):
            print(f"{usage}\n\nRuns one stage on params.yaml; `dvc repro` calls it when needed.")
            return
        sys.exit(usage)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        stage = importlib.import_module(f"ferpipe.{sys.argv[1]}")
    except KeyboardInterrupt:
        print(f"{sys.argv[1]}: interrupted", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.exit(
            f"{sys.argv[1]}: error: the package {error.name} is not installed for this Python; "
            "activate the environment (`source .venv/bin/activate`), or make it with `make venv`"
        )
    stage.main()


if __name__ == "__main__":
    main()
