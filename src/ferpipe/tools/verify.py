"""Proves reproducibility: runs two clones from nothing and compares every byte of their outputs.

The second clone is in another folder and has another locale, time zone, umask, hash seed and
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

from tabulate import tabulate

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import read_experiment
from ferpipe.params.reader import read_yaml

LOCK = Path("dvc.lock")
# Outputs of these stages depend on the processor: libraries choose their arithmetic, and so their
# rounding, by its instruction sets. All other outputs are the same on any machine.
PROCESSOR_BOUND = ("train", "evaluate")
HEADER = ("output", "sha256", "second clone", "forced again", "older processor", "committed")
SAME, DIFFERS, UNKNOWN = "same", "DIFFERS", "-"

Hashes = dict[Path, str]


class Clone:
    """A clone of the repository with a cache, a configuration and an environment of its own.

    Args:
        root: the repository.
        path: of the clone.
        preset: written to its params.yaml; None leaves that as committed.
        changes: environment variables that differ from ours.
        umask: of its commands.
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
            # The clone's code, with this Python.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(path / "src"),
            "DVC_NO_ANALYTICS": "1",
            **{f"DVC_{kind}_CONFIG_DIR": str(nothing) for kind in ("GLOBAL", "SYSTEM")},
            "DVC_SITE_CACHE_DIR": str(path.parent / f"{path.name}.site"),
            **changes,
        }
        self._run("git", "clone", "--quiet", root.as_uri(), str(path), where=root)
        if preset:
            code = "from ferpipe.tools.cli import main; main()"
            self._run(sys.executable, "-c", code, "preset", preset)
        _copy_data(root, path)

    def repro(self, *words: str, **variables: str) -> None:
        """Run `dvc repro` with these arguments and environment variables."""
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
                    f"{' '.join(command[-2:])} failed in {self.path}; its last lines are above"
                )


def _copy_data(root: Path, clone: Path) -> None:
    """Give a clone what git does not: verified downloads, and images of the user."""
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
    """SHA-256 of dvc.lock and of every output file of a checkout."""
    files = [checkout / LOCK]
    for names in outputs(checkout / LOCK).values():
        for path in (checkout / name for name in names):
            files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        path.relative_to(checkout): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def outputs(lock: Path) -> dict[str, dict[str, str]]:
    """Stage -> path of each output -> its digest, from a dvc.lock."""
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", ())}
        for name, stage in read_yaml(lock).get("stages", {}).items()
    }


def older_processor() -> str:
    """The instruction sets that NumPy uses here beyond those of its oldest processor."""
    from numpy._core import _multiarray_umath as numpy

    return " ".join(name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__.get(name))


def verify(root: Path, folder: Path, preset: str | None) -> tuple[list[tuple[str, ...]], bool]:
    """Run and compare the clones.

    Args:
        root: the repository; its last commit is verified.
        folder: for the clones, empty.
        preset: see `Clone`.

    Returns:
        The rows of the table, and whether all outputs are as expected.

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
    base, fresh = hashes(first.path), outputs(first.path / LOCK)
    second.repro()
    compared = [hashes(second.path)]
    first.repro("--force")
    compared.append(hashes(first.path))
    second.repro("--force", "preprocess", NPY_DISABLE_CPU_FEATURES=older_processor())
    older = hashes(second.path)

    rows, good = [], True
    for path in sorted({path for files in (base, *compared) for path in files}):
        stage, output = _source(path, fresh)
        bound = stage in PROCESSOR_BOUND
        cells = [SAME if files.get(path) == base.get(path) else DIFFERS for files in compared]
        # The last run did not train, so it says nothing about outputs that the processor affects.
        cells.append(UNKNOWN if bound else SAME if older.get(path) == base.get(path) else DIFFERS)
        in_lock = committed.get(stage, {}).get(output)
        if in_lock is None or in_lock == fresh[stage][output]:
            cells.append(UNKNOWN if in_lock is None else SAME)
        else:
            cells.append("other processor" if bound else DIFFERS)
        good = good and DIFFERS not in cells
        name = f"{path.as_posix()}{' *' if bound else ''}"
        rows.append((name, base.get(path, "missing")[:12], *cells))
    return rows, good


def _source(path: Path, lock: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The stage that wrote a file, and the output that it is or belongs to."""
    for stage, outs in lock.items():
        for output in outs:
            if path == Path(output) or Path(output) in path.parents:
                return stage, output
    return "", ""


def run(root: Path, preset: str | None, *, keep: bool) -> None:
    """Verify the last commit of `root` and print the table; `keep` leaves the clones.

    Raises:
        PipelineError: `root` is no git repository, a run failed, or an output differs.
    """
    words = ["git", "status", "--porcelain"]
    status = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if status.returncode != 0:
        raise PipelineError(f"{root} is not a git repository; clone this project with git")
    if status.stdout:
        print("Uncommitted changes are ignored: the last commit is verified.")
    folder = Path(tempfile.mkdtemp(prefix="ferpipe-verify-"))
    try:
        print(f"Two clones in {folder}:", flush=True)
        rows, good = verify(root, folder, preset)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(tabulate(rows, HEADER, tablefmt="plain", disable_numparse=True))
    print(
        "* depends on the processor: on another one training rounds differently, so the committed "
        "digest may differ"
    )
    if not good:
        raise PipelineError("some outputs differ; see DIFFERS in the table")
    print(f"The same bytes every time: {len(rows)} files.")
