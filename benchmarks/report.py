"""A benchmark's report: machine, versions and tables."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferpipe.core import files, machine

RESULTS = Path(__file__).resolve().parent / "results"
GIB = 2**30
# What decides how fast bfloat16 is on x86.
FLAGS = ("avx512_bf16", "amx_bf16")


def machine_line() -> str:
    """Processor, cores and memory in a line; no name of host or user."""
    flags = machine.instruction_sets().split()
    has = ", ".join(f"{flag}: {'yes' if flag in flags else 'no'}" for flag in FLAGS)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{machine.processor()}, {machine.cores()} cores, {total / GIB:.0f} GiB of memory; {has}"


def command_line(words: Sequence[str]) -> str:
    """Write the command of a benchmark from `sys.argv`, with the name alone of an absolute path."""
    script, *arguments = words
    arguments = [Path(word).name if Path(word).is_absolute() else word for word in arguments]
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *arguments])


def available_memory() -> int:
    """Bytes of memory available now; all memory where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def others() -> list[str]:
    """A remark if other programs are computing now; call it before measuring.

    What shares the processor slows PyTorch's threads, which wait for each other while they spin,
    far more than TensorFlow's: turns do not make up for that.
    """

    def idle_seconds() -> float:
        first, *_ = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        return int(first.split()[4]) / os.sysconf("SC_CLK_TCK")

    try:
        before = idle_seconds()
        time.sleep(1)
        busy = (os.cpu_count() or 1) - (idle_seconds() - before)
    except OSError:
        return []
    if busy < 0.25:
        return []
    return [f"**Not a quiet machine**: other programs held {busy:.1f} cores when this began.\n"]


def publish(
    name: str,
    title: str,
    versions: Mapping[str, str],
    parts: Sequence[str],
    *,
    keep: bool = True,
) -> None:
    """Print a report and write it to results/NAME.md.

    Args:
        name: of the file.
        title: what was measured.
        versions: of the packages that matter.
        parts: tables and paragraphs, in order.
        keep: False only prints.
    """
    packages = {"Python": platform.python_version(), **versions}
    head = [
        f"# {title}\n",
        f"`{command_line(sys.argv)}`\n",
        f"Machine: {machine_line()}.\n",
        f"Versions: {', '.join(f'{key} {value}' for key, value in packages.items())}.\n",
    ]
    text = "\n".join([*head, *parts])
    print(text)
    if keep:
        files.write_text(RESULTS / f"{name}.md", text)
        print(f"{name}: written to benchmarks/results/{name}.md")
