"""Proof of reproducibility: two clones, each run from nothing, and every byte of theirs compared.

The second clone lies elsewhere and lives under another locale, time zone, umask, hash seed and
folder for temporary files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import read_experiment
from ferpipe.params.reader import read_yaml

LOCK = Path("dvc.lock")
# What these write follows the processor: libraries choose their arithmetic, and so their rounding,
# by what it can do. Everything before is the same on any machine.
PROCESSOR_BOUND = ("train", "evaluate")
HEADER = ("output", "sha256", "second clone", "forced again", "older processor", "committed")
SAME, DIFFERS, UNKNOWN = "same", "DIFFERS", "-"

Hashes = dict[Path, str]


class Clone:
    """A clone of the repository with a cache, a configuration and an environment of its own.

    Args:
        root: the repository.
        path: where the clone goes.
        preset: written to its params.yaml; None leaves that as committed.
        changes: environment variables that differ from ours.
        umask: for the files that it writes.
    """

    def __init__(
        self, root: Path, path: Path, preset: str | None, changes: Mapping[str, str], umask: int
    ) -> None:
        self.path = path
        self._umask = umask
        self._log = path.parent / f"{path.name}.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_"))}
        nothing = path.parent / "no-configuration"
        self._environment = {
            **kept,
            # The code of the clone, on this Python.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(path / "src"),
            "DVC_NO_ANALYTICS": "1",
            **{f"DVC_{kind}_CONFIG_DIR": str(nothing) for kind in ("GLOBAL", "SYSTEM")},
            "DVC_SITE_CACHE_DIR": str(path.parent / f"{path.name}.site"),
            **changes,
        }
        self._run("git", "clone", "--quiet", root.as_uri(), str(path), where=root)
        if preset:
            words = ("from ferpipe.tools.cli import main; main()", "preset", preset)
            self._run(sys.executable, "-c", *words)
        _bring_data(root, path)

    def repro(self, *words: str, **variables: str) -> None:
        """Run `dvc repro` with further words and environment variables."""
        begun = time.monotonic()
        print(f"  {self.path.name}: dvc {' '.join(('repro', *words))}", end=" ", flush=True)
        self._run(sys.executable, "-m", "dvc", "repro", *words, **variables)
        print(f"{time.monotonic() - begun:.0f} s", flush=True)

    def _run(self, *command: str, where: Path | None = None, **variables: str) -> None:
        with self._log.open("w+", encoding="utf-8", errors="replace") as log:
            done = subprocess.run(
                command,
                cwd=where or self.path,
                env={**self._environment, **variables},
                umask=self._umask,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if done.returncode != 0:
                log.seek(0)
                print("\n" + "".join(log.readlines()[-20:]), file=sys.stderr)
                raise PipelineError(
                    f"{' '.join(command[-2:])} failed in {self.path}; what it said last is above"
                )


def _bring_data(root: Path, clone: Path) -> None:
    """Give a clone what git does not: kept downloads, and a user's own images."""
    kept = paths.CACHE / "downloads"
    if (root / kept).is_dir():
        shutil.copytree(root / kept, clone / kept)
    local = Path(read_experiment(clone / paths.PARAMS).download.local.path)
    if local.is_absolute() or not (root / local).exists():
        return
    if (root / local).is_dir():
        shutil.copytree(root / local, clone / local, dirs_exist_ok=True)
    elif not (clone / local).exists():
        shutil.copy(root / local, clone / local)


def hashes(checkout: Path) -> Hashes:
    """SHA-256 of dvc.lock and of every file that the stages of a checkout wrote."""
    found = [checkout / LOCK]
    for names in outputs(checkout / LOCK).values():
        for path in (checkout / name for name in names):
            found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        path.relative_to(checkout): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.is_file()
    }


def outputs(lock: Path) -> dict[str, dict[str, str]]:
    """What a dvc.lock says that each stage wrote: path to digest."""
    stages = read_yaml(lock).get("stages", {})
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", ())}
        for name, stage in stages.items()
    }


def older_processor() -> str:
    """The instruction sets that NumPy would use here beyond the oldest processor it runs on."""
    from numpy._core import _multiarray_umath as numpy

    return " ".join(name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__.get(name))


def verify(root: Path, folder: Path, preset: str | None) -> tuple[list[tuple[str, ...]], bool]:
    """Run it all.

    Args:
        root: the repository; what is committed there is verified.
        folder: an empty one, for the clones.
        preset: see `Clone`.

    Returns:
        The table's rows, and whether all is as it should be.

    Raises:
        PipelineError: a run failed.
    """
    first = Clone(root, folder / "first", preset, {}, umask=0o022)
    elsewhere = folder / "temporary files"
    elsewhere.mkdir()
    changes = {"LC_ALL": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "4", "PYTHONUTF8": "1"}
    second = Clone(root, folder / "second ü", preset, {**changes, "TMPDIR": str(elsewhere)}, 0o077)
    committed = outputs(first.path / LOCK) if not preset else {}

    first.repro()
    base = hashes(first.path)
    fresh = outputs(first.path / LOCK)
    second.repro()
    compared = [hashes(second.path)]
    first.repro("--force")
    compared.append(hashes(first.path))
    second.repro("--force", "preprocess", NPY_DISABLE_CPU_FEATURES=older_processor())
    older = hashes(second.path)

    rows, good = [], True
    for path in sorted({path for found in (base, *compared) for path in found}):
        stage, out = _source(path, fresh)
        bound = stage in PROCESSOR_BOUND
        cells = [SAME if found.get(path) == base.get(path) else DIFFERS for found in compared]
        in_lock = committed.get(stage, {}).get(out)
        # dvc.lock has lines of all stages; after the last run those of training are as before.
        cells.append(UNKNOWN if bound else SAME if older.get(path) == base.get(path) else DIFFERS)
        good = good and DIFFERS not in cells
        if in_lock is None:
            cells.append(UNKNOWN)
        elif in_lock == fresh[stage][out]:
            cells.append(SAME)
        else:
            cells.append("other processor" if bound else DIFFERS)
            good = good and bound
        name = f"{path.as_posix()}{' *' if bound else ''}"
        rows.append((name, base.get(path, "missing")[:12], *cells))
    return rows, good


def _source(path: Path, lock: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The stage that wrote a file, and the output that the file is of or in."""
    for stage, outs in lock.items():
        for out in outs:
            if path == Path(out) or Path(out) in path.parents:
                return stage, out
    return "", ""


def run(root: Path, preset: str | None, *, keep: bool) -> None:
    """Verify and print the table.

    Args:
        root: the repository.
        preset: see `Clone`.
        keep: whether the clones stay.

    Raises:
        PipelineError: this is no clone of a git repository, a run failed, or something differs.
    """
    words = ["git", "status", "--porcelain"]
    status = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if status.returncode != 0:
        raise PipelineError(f"{root} is no git repository; clone this project with git")
    if status.stdout:
        print("Uncommitted changes are left out: what is verified is the last commit.")
    folder = Path(tempfile.mkdtemp(prefix="ferpipe-verify-"))
    try:
        print(f"Two clones in {folder}:", flush=True)
        rows, good = verify(root, folder, preset)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    for row in (HEADER, *rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(line.rstrip())
    print(
        "* follows the processor: on another one, training rounds otherwise, so the committed "
        "digest may be another"
    )
    if not good:
        raise PipelineError("not everything is the same; look for DIFFERS in the table")
    print(f"The same bytes every time: {len(rows)} files.")
