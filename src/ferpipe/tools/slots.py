"""What each of several processes gets of the machine; a slot is one of them, from 0."""

from __future__ import annotations

import os

from ferpipe.core import machine


def cores(slot: int, slots: int) -> list[int]:
    """The cores of one of several processes (from 0) that share those of this one."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    start, end = (len(allowed) * index // slots for index in (slot, slot + 1))
    return allowed[start:end] or [allowed[slot % len(allowed)]]


def one_gpu(slot: int) -> dict[str, str]:
    """The environment in which a process sees one GPU, of several processes in turn."""
    gpus = machine.visible_gpus()
    return {machine.VISIBLE: gpus[slot % len(gpus)]} if len(gpus) > 1 else {}
