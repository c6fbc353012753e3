"""A data set on Kaggle, fetched with the official client.

The client has no timeout, prints and talks to the network as soon as it is imported, and takes
nearly any body for success. So it runs in a process of its own (`kaggle_client.py`) under
a deadline and into a fresh folder, and nothing it brings is believed before `archive.repack` has
read every image and `archive.verify` has held them against params.yaml.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from ferpipe import archive, files
from ferpipe.errors import PipelineError
from ferpipe.params import download
from ferpipe.params.run import Run
from ferpipe.sources import kaggle_client
from ferpipe.sources.kaggle_client import RESULT, MayPass, by_hand

KEPT = files.CACHE / "downloads"
PAUSES = (1.0, 4.0)  # seconds between tries, after a failure that may pass


def fetch(params: download.Download, run: Run, target: Path) -> archive.Contents:
    """Download `download.kaggle.dataset` and repack it into the canonical archive.

    A download that matches `download.expect.digest` is kept in `.ferpipe/downloads/`; as long as
    that digest is asked for, neither the network nor credentials are needed again.

    Args:
        params: the section `download`.
        run: the section `run`; `download_deadline` bounds the download, all tries together.
        target: where the canonical archive goes; untouched when anything fails.

    Returns:
        What the archive holds.

    Raises:
        PipelineError: no credentials, Kaggle refuses, the deadline passed, or what came is not a
            sound zip of class folders that holds what `download.expect` says.
    """
    digest = params.expect.digest
    files.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=files.CACHE, prefix="download-") as name:
        folder = Path(name)
        canonical = folder / "canonical.zip"
        zipped = None
        contents = _from_kept(params, canonical) if digest else None
        if contents is None:
            zipped = _download(params.kaggle, run.download_deadline, folder)
            contents = _repack(zipped, params, canonical)
        archive.verify(contents, params.expect.class_counts, digest)
        if zipped is not None and digest is not None:
            KEPT.mkdir(exist_ok=True)
            zipped.replace(KEPT / f"{digest}.zip")
        elif digest is None:
            _say("not kept for the next time, because download.expect.digest is null")
        target.parent.mkdir(parents=True, exist_ok=True)
        canonical.replace(target)
    return contents


def _from_kept(params: download.Download, canonical: Path) -> archive.Contents | None:
    """Repack the kept download, if there is one and it still has the digest that names it.

    Kept is the zip as Kaggle sent it, so what `archive.repack` leaves out is reported as it was
    the first time. One that fails stays until a sound download replaces it.
    """
    kept = KEPT / f"{params.expect.digest}.zip"
    if not kept.is_file():
        return None
    try:
        contents = archive.repack(kept, canonical, params.root, params.max_bad_fraction)
    except PipelineError as error:
        problem = str(error)
    else:
        if contents.digest == params.expect.digest:
            return contents
        problem = f"{kept} holds other images than its name says"
    _say(f"{problem}; downloading again")
    return None


def _repack(zipped: Path, params: download.Download, canonical: Path) -> archive.Contents:
    """Repack what the client brought; errors name the data set, not a file that is gone by then."""
    dataset = params.kaggle.dataset
    if not zipfile.is_zipfile(zipped):
        with zipped.open("rb") as file:
            start = file.read(512).lstrip().lower()
        is_page = start.startswith((b"<!doctype html", b"<html"))
        found = "a web page" if is_page else f"{zipped.stat().st_size} bytes that are no whole zip"
        raise PipelineError(
            f"what came for {dataset} is {found}, perhaps from a proxy in between; try again, or "
            f"{by_hand(dataset)}"
        )
    try:
        return archive.repack(zipped, canonical, params.root, params.max_bad_fraction)
    except PipelineError as error:
        raise PipelineError(str(error).replace(str(zipped), f"Kaggle's {zipped.name}")) from None


def _download(kaggle: download.Kaggle, seconds: int, folder: Path) -> Path:
    """Run the client until it succeeds, fails for good, or the time is up.

    Returns:
        The zip in `folder`.
    """
    deadline = time.monotonic() + seconds
    for pause in (*PAUSES, None):
        try:
            _run_client(kaggle, folder, deadline)
            break
        except subprocess.TimeoutExpired:
            raise PipelineError(
                f"{kaggle.dataset} did not arrive within run.download_deadline = {seconds} "
                "seconds; try again, or raise run.download_deadline in params.yaml"
            ) from None
        except MayPass as problem:
            if pause is None or time.monotonic() + pause >= deadline:
                raise PipelineError(
                    f"{problem}; try again later, or {by_hand(kaggle.dataset)}"
                ) from None
            _say(f"{problem}; next try in {pause:g} s")
            time.sleep(pause)
    return folder / f"{kaggle.dataset.split('/')[1]}.zip"


def _run_client(kaggle: download.Kaggle, folder: Path, deadline: float) -> None:
    """Run the client once, in a process that ends with this call, or with this process.

    Raises:
        subprocess.TimeoutExpired: the deadline passed; the process was killed.
        MayPass: it failed in a way that may pass.
        PipelineError: it failed for good.
    """
    # VERBOSE makes the client print its requests with the token in them. An empty variable, as
    # CI sets it for a secret that it lacks, would hide a good kaggle.json.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VERBOSE") and (value or not name.startswith("KAGGLE_"))
    }
    source_root = str(Path(__file__).resolve().parents[2])
    paths = [source_root, os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    terminal = sys.stderr.isatty()
    result = folder / RESULT
    result.unlink(missing_ok=True)
    # -P: nothing in the working folder can stand in for a module.
    command = [sys.executable, "-P", "-W", "ignore", "-m", kaggle_client.__name__]
    with subprocess.Popen(
        [*command, kaggle.dataset, str(kaggle.version or ""), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None if terminal else subprocess.DEVNULL,  # the progress bar
        env=environment,
    ) as child:
        try:
            child.wait(deadline - time.monotonic())
        finally:
            if child.poll() is None:
                child.kill()
                if terminal:
                    print(file=sys.stderr)  # leaves the line of the unfinished bar
    if not result.is_file():
        raise PipelineError(
            f"the Kaggle client ended with exit code {child.returncode} and without a word; "
            f"try again, or {by_hand(kaggle.dataset)}"
        )
    outcome = json.loads(result.read_text(encoding="utf-8"))
    if outcome["problem"] is not None:
        raise (MayPass if outcome["may_pass"] else PipelineError)(outcome["problem"])


def _say(message: str) -> None:
    print(f"download: {message}", file=sys.stderr)
