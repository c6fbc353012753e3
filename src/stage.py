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
    """End in one line while there is nothing to tidy up yet; `runtime.process` takes over."""
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    os.write(2, f"{' '.join(sys.argv[1:2])}: {how}\n".encode())
    os._exit(128 + number)


for number in (signal.SIGINT, signal.SIGTERM):
    # One that is ignored, as in the background of a script, stays so.
    if __name__ == "__main__" and signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, stop_at_once)

from pathlib import Path  # noqa: E402 - the import takes longer than what stands above


def main() -> None:
    """Run the named stage."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from ferpipe.runtime import process  # of this checkout, now that the path is set

    process.main(sys.argv[1:])


if __name__ == "__main__":
    main()
