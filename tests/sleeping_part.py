"""Part of a training, without JAX: process 0 is done when the file `done` is there."""

import os
import time
from pathlib import Path

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel import computing


def compute():
    with files.replacing(Path(f"half-{NUMBER}")) as file:
        file.write(b"half")
        Path(f"computes-{NUMBER}").write_text(str(os.getpid()))
        while not Path("done").exists():
            time.sleep(0.05)
            if Path(f"fails-{NUMBER}").exists():
                raise PipelineError("the data are bad; mend them")
            if Path(f"raises-{NUMBER}").exists():
                raise ValueError("a defect")


def connect(place):
    global NUMBER
    NUMBER = place["process"]


if __name__ == "__main__":
    computing.run(compute, connect)
