"""Runs one stage: `python src/stage.py split`.

The stage runs the code of the checkout that this file is in, even if an editable install refers to
another one: DVC runs queued and `--temp` experiments in a copy of the repository.
"""

import os
import sys


def end(how: str, code: int) -> None:
    """Exit at once with one line."""
    os.write(2, f"{' '.join(sys.argv[1:2])}: {how}\n".encode())
    os._exit(code)


try:
    import signal
except KeyboardInterrupt:  # the import is slow enough to be interrupted
    end("interrupted", 130)


def main() -> None:
    """Run the stage; until `runtime.process` handles signals, they end it at once."""
    for number, how in ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")):
        # A signal that is ignored stays so: a background job of a script.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _, how=how: end(how, 128 + number))
    from pathlib import Path  # a slow import

    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from ferpipe.runtime import process

    process.main(sys.argv[1:])


if __name__ == "__main__":
    main()
