"""Moves aside DVC files that were truncated when DVC was killed (DVC 3.67 writes two in place).

Neither holds anything that DVC cannot find again: which process works on what, and what its run
cache has too. A damaged one stops every further command.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import read_yaml

LOCKS = Path("dvc.lock"), Path("cv/dvc.lock")
RWLOCK = Path(".dvc/tmp/rwlock")


def move_aside() -> list[Path]:
    """Move damaged files of DVC into `.ferpipe/damaged/`.

    Returns:
        Those that were damaged. A dvc.lock with merge conflicts is none: somebody has to choose.
    """
    found = [path for path in LOCKS if path.is_file() and not _is_whole(path, _check_lock)]
    if RWLOCK.is_file() and not _is_whole(RWLOCK, _check_rwlock):
        found.append(RWLOCK)
    for path in found:
        aside = paths.CACHE / "damaged" / "-".join(path.parts)
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
    return found


def _is_whole(path: Path, check: Callable[[Path], None]) -> bool:
    try:
        check(path)
    except (PipelineError, ValueError):
        return False
    return True


def _check_lock(path: Path) -> None:
    if "\n<<<<<<< " in path.read_text(encoding="utf-8", errors="replace"):
        return
    # A fifth of a second, for a file that is nearly always there and whole.
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(read_yaml(path))
    except Invalid as error:
        raise ValueError(str(error)) from None


def _check_rwlock(path: Path) -> None:
    if not isinstance(json.loads(path.read_bytes()), dict):
        raise ValueError("no JSON object")
