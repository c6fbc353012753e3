"""Moves aside DVC files that were truncated when DVC was killed (DVC 3.67 writes two in place).

A damaged one stops every further command. DVC can restore the content of both: its locks, and what
its run cache has too.
"""

from __future__ import annotations

import json
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import read_yaml

LOCKS = Path("dvc.lock"), Path("cv/dvc.lock")
RWLOCK = Path(".dvc/tmp/rwlock")


def move_aside() -> list[Path]:
    """Move damaged DVC files into `.ferpipe/damaged/`, and return their paths.

    A dvc.lock with merge conflicts is not damaged: the user has to resolve them.
    """
    damaged = [path for path in LOCKS if path.is_file() and not _is_lock(path)]
    if RWLOCK.is_file() and not _is_json_object(RWLOCK):
        damaged.append(RWLOCK)
    for path in damaged:
        aside = paths.CACHE / "damaged" / "-".join(path.parts)
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
    return damaged


def _is_lock(path: Path) -> bool:
    if "\n<<<<<<< " in path.read_text(encoding="utf-8", errors="replace"):
        return True
    # These imports take a fifth of a second.
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        lock = COMPILED_LOCKFILE_SCHEMA(read_yaml(path))
    except (PipelineError, Invalid):
        return False
    entries = [
        entry
        for stage in lock["stages"].values()
        for entry in (*stage.get("deps", ()), *stage.get("outs", ()))
    ]
    return all(map(_is_whole, entries))


def _is_whole(entry: dict[str, object]) -> bool:
    """Whether a file or folder in a lock has all keys: DVC accepts one that was cut off."""
    is_folder = str(entry.get("md5", "")).endswith(".dir")
    return {"md5", "size", *(["nfiles"] if is_folder else [])} <= entry.keys()


def _is_json_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False
