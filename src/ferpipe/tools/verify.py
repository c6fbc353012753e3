"""Proves reproducibility: runs two clones from nothing and compares every byte of their outputs.

The second clone is in another folder and has another locale, time zone, umask, hash seed and
folder for temporary files.
"""

from __future__ import annotations

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
from ferpipe.core.files import sha256
from ferpipe.params.experiment import read_experiment
from ferpipe.params.reader import read_yaml

LOCK = Path("dvc.lock")
# Outputs of these stages depend on the processor: libraries choose their arithmetic, and so their
# rounding, by its instruction sets. All other outputs are the same on any machine.
PROCESSOR_BOUND = ("train", "evaluate")
HEADER = ("output", "sha256", "second clone", "forced again", "older processor", "committed")
DIFFERS = "DIFFERS"


class Clone:
    """A clone of the repository `root` with its own cache, configuration, umask and environment.

    Its params.yaml is as committed or that of a preset; `changes` are environment variables.
    """

    def __init__(
        self, root: Path, path: Path, preset: str | None, umask: int, **changes: str
    ) -> None:
        self.path, self._umask = path, umask
        nothing = path.with_name("no-configuration")
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_"))},
            # The clone's code, with this Python.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(path / "src"),
            "DVC_NO_ANALYTICS": "1",
            **{f"DVC_{kind}_CONFIG_DIR": str(nothing) for kind in ("GLOBAL", "SYSTEM")},
            "DVC_SITE_CACHE_DIR": str(path.with_name(f"{path.name}.site")),
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
        done = subprocess.run(
            command, cwd=where or self.path, env=self._environment | variables, umask=self._umask,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            print("", *done.stdout.splitlines()[-20:], sep="\n", file=sys.stderr)
            raise PipelineError(
                f"{' '.join(command[-2:])} failed in {self.path}; its last lines are above"
            )


def _copy_data(root: Path, clone: Path) -> None:
    """Give a clone what git does not: verified downloads, images and split of the user."""
    downloads = paths.CACHE / "downloads"
    if (root / downloads).is_dir():
        shutil.copytree(root / downloads, clone / downloads)
    experiment = read_experiment(clone / paths.PARAMS)
    for path in (Path(experiment.download.local.path), Path(experiment.split.assigned)):
        if path.is_absolute():
            continue
        if (root / path).is_dir():
            shutil.copytree(root / path, clone / path, dirs_exist_ok=True)
        elif (root / path).exists() and not (clone / path).exists():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, clone / path)


def hashes(checkout: Path) -> dict[Path, str]:
    """SHA-256 of dvc.lock and of every output file of a checkout."""
    files = [checkout / LOCK]
    for stage in outputs(checkout).values():
        for path in (checkout / name for name in stage):
            files += path.rglob("*") if path.is_dir() else [path]
    return {path.relative_to(checkout): sha256(path) for path in files if path.is_file()}


def outputs(checkout: Path) -> dict[str, dict[str, str]]:
    """Stage -> path of each output -> its digest, from dvc.lock."""
    return {
        name: {out["path"]: out["md5"] for out in stage.get("outs", ())}
        for name, stage in read_yaml(checkout / LOCK).get("stages", {}).items()
    }


def older_processor() -> str:
    """The instruction sets that NumPy uses here beyond those of its oldest processor."""
    from numpy._core import _multiarray_umath as numpy

    return " ".join(name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__.get(name))


def verify(root: Path, folder: Path, preset: str | None) -> list[tuple[str, ...]]:
    """Run the last commit of `root`, or a preset, in two clones in an empty folder.

    Returns:
        A row of `HEADER`'s columns for each file; one with a difference contains `DIFFERS`.
    """
    first = Clone(root, folder / "first", preset, umask=0o022)
    elsewhere = folder / "temporary files"
    elsewhere.mkdir()
    second = Clone(
        root, folder / "second ü", preset, umask=0o077, TMPDIR=str(elsewhere),
        LC_ALL="C", TZ="Pacific/Chatham", PYTHONHASHSEED="4", PYTHONUTF8="1",
    )  # fmt: skip
    committed = {} if preset else outputs(first.path)

    first.repro()
    base, fresh = hashes(first.path), outputs(first.path)
    second.repro()
    other = hashes(second.path)
    first.repro("--force")
    again = hashes(first.path)
    second.repro("--force", "preprocess", NPY_DISABLE_CPU_FEATURES=older_processor())
    older = hashes(second.path)

    def compare(one: object, two: object) -> str:
        return "same" if one == two else DIFFERS

    rows = []
    for path in sorted(base | other | again):
        digest = base.get(path)
        stage, output = _source(path, fresh)
        bound = stage in PROCESSOR_BOUND
        # The last run does not train.
        on_older = "-" if bound else compare(older.get(path), digest)
        in_lock = committed.get(stage, {}).get(output)
        as_committed = compare(in_lock, fresh[stage][output]) if in_lock else "-"
        if bound and as_committed == DIFFERS:
            as_committed = "other processor"
        cells = compare(other.get(path), digest), compare(again.get(path), digest), on_older
        name = f"{path.as_posix()} *" if bound else path.as_posix()
        rows.append((name, (digest or "missing")[:12], *cells, as_committed))
    return rows


def _source(path: Path, stages: Mapping[str, Mapping[str, str]]) -> tuple[str, str]:
    """The stage that wrote a file, and the output that it is or belongs to."""
    for stage, outs in stages.items():
        for output in outs:
            if path.is_relative_to(output):
                return stage, output
    return "", ""


def run(root: Path, preset: str | None, *, keep: bool) -> None:
    """Verify the last commit of `root` and print the table; `keep` leaves the clones.

    Raises:
        PipelineError: `root` is no git repository, a run failed, or an output differs.
    """
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=False
    )
    if status.returncode != 0:
        raise PipelineError(f"{root} is not a git repository; clone this project with git")
    if status.stdout:
        print("Uncommitted changes are ignored: the last commit is verified.")
    folder = Path(tempfile.mkdtemp(prefix="ferpipe-verify-"))
    try:
        print(f"Two clones in {folder}:", flush=True)
        rows = verify(root, folder, preset)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(tabulate(rows, HEADER, tablefmt="plain", disable_numparse=True))
    print(
        "* depends on the processor: on another one training rounds differently, so the committed "
        "digest may differ"
    )
    if any(DIFFERS in row for row in rows):
        raise PipelineError("some outputs differ; see DIFFERS in the table")
    print(f"The same bytes every time: {len(rows)} files.")
