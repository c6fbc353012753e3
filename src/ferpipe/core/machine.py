"""The processor, its instruction sets, the cores that this process may use, and NVIDIA's cards."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The name of the processor."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instruction_sets() -> str:
    """The processor's instruction sets; libraries choose their arithmetic and rounding by them."""
    return " ".join(sorted(_cpuinfo("flags", "Features").split())) or platform.machine()


def nvidia_cards() -> list[str]:
    """The names of the NVIDIA cards that the driver, the device files or nvidia-smi show."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with suppress(OSError):
            match = re.search(r"^Model:\s*(.+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            names.append(match[1].strip() if match else "NVIDIA card")
    # A container may show the devices alone; Windows' Linux has neither, and its own nvidia-smi.
    devices = [path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()]
    names = names or ["NVIDIA card"] * len(devices)
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path="/usr/lib/wsl/lib")
    if not names and program:
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20)
            names = re.findall(r"^GPU \d+: (.+?)(?: \(UUID.*)?$", done.stdout, re.MULTILINE)
    return names


def visible_gpus() -> list[str]:
    """The NVIDIA cards that a program may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get(VISIBLE)
    if given is None:
        return [str(number) for number in range(len(nvidia_cards()))]
    return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]


def _cpuinfo(*names: str) -> str:
    """The first value of one of these names in Linux's /proc/cpuinfo, otherwise empty."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(names):
                return line.partition(":")[2].strip()
    return ""
