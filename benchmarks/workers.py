"""The contenders as processes that wait for their turn."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ferpipe.core.errors import PipelineError

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
PEER = ROOT / ".venv-bench/bin/python"


@dataclass(frozen=True)
class Contender:
    """A program that is compared.

    Args:
        name: as the tables have it.
        module: in contenders/.
        arguments: what makes this variant of it.
        peer: whether it runs in the peers' environment.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    peer: bool = False


OURS = Contender("ferpipe, bfloat16", "ours")
KERAS = Contender("plain Keras, float32", "plain_keras")
KERAS_BFLOAT16 = Contender("plain Keras, bfloat16", "plain_keras", ("--variant", "mixed_bfloat16"))
PYTORCH = Contender("PyTorch, bfloat16, fused", "pytorch", peer=True)
PYTORCH_DEFAULT = Contender(
    "PyTorch, bfloat16, default", "pytorch", ("--variant", "default"), peer=True
)


def add_peer(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark's user name the Python that has PyTorch."""
    parser.add_argument(
        "--peer", type=Path, default=PEER, help="Python with PyTorch (that of .venv-bench)"
    )


def versions(peer: Path | None = None) -> dict[str, str]:
    """The versions of the compared packages; call it before measuring.

    Args:
        peer: the Python that has PyTorch; None where PyTorch does not take part.

    Raises:
        PipelineError: there is no such Python, or it has no PyTorch. Finding that out after half
            an hour would help nobody.
    """
    found = {}
    for name in ("tensorflow", "jax", "keras"):
        with suppress(
            metadata.PackageNotFoundError
        ):  # JAX is an extra, and does without TensorFlow
            found[name] = metadata.version(name)
    if peer is None:
        return found
    ask = "from importlib.metadata import version as v; print(v('torch'), v('torchvision'))"
    try:
        done = subprocess.run([peer, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        name = ".venv-bench" if peer == PEER else str(peer)
        raise PipelineError(f"{name} has no PyTorch; `make bench` installs it") from None
    return found | dict(zip(("torch", "torchvision"), done.stdout.split(), strict=True))


def gpu(peer: Path) -> str | None:
    """The name of the GPU that PyTorch sees, None if there is none."""
    ask = "import torch as t; print(t.cuda.get_device_name() if t.cuda.is_available() else '')"
    done = subprocess.run([peer, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.strip() or None


def command(contender: Contender, peer: Path, arguments: Mapping[str, object]) -> list[str]:
    """The command line of a contender, to be run in `BENCHMARKS`."""
    # Not resolved: a link is how an environment's Python knows where its packages are.
    python = peer.absolute() if contender.peer else Path(sys.executable)
    given = [text for key, value in arguments.items() for text in (f"--{key}", str(value))]
    return [str(python), "-m", f"contenders.{contender.module}", *contender.arguments, *given]


class Worker:
    """A contender's process; use it in a `with` block, which ends the process.

    Args:
        contender: who.
        peer: the Python that has PyTorch.
        arguments: options of the contender, such as `{"size": 64, "batch": 32}`.
    """

    def __init__(self, contender: Contender, peer: Path, arguments: Mapping[str, object]) -> None:
        self.contender = contender
        self.peak = self.built = 0
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed with the worker)
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            command(contender, peer, arguments),
            cwd=BENCHMARKS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        # At the end of its stdin a worker that waits for orders ends; one that computes does not.
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._errors.close()

    def ready(self) -> float:
        """Wait for the first step; return the seconds since the process was started.

        Raises:
            PipelineError: the process has ended.
        """
        answer = self._answer()
        seconds = time.perf_counter() - self._started
        self.built = answer["built"]
        return seconds

    def train(self, steps: int) -> float:
        """Train this many steps; return the seconds they took.

        Raises:
            PipelineError: the process has ended.
        """
        with suppress(BrokenPipeError):  # the answer that does not come says why
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        return self._answer()["seconds"]

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or ["it said nothing"])[-1]
            why = "killed, likely for its memory" if code == -9 else f"code {code}: {last}"
            raise PipelineError(f"{self.contender.name} has ended: {why}")
        answer = json.loads(line)
        self.peak = answer["peak"]
        return answer


def run_to_end(words: Sequence[str], folder: Path) -> float:
    """Run a command to its end; return the seconds it took.

    Raises:
        PipelineError: it failed.
    """
    started = time.perf_counter()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PipelineError(f"{' '.join(words[1:4])} failed: {last}")
    return seconds
