"""Tries of Kaggle's client, each in a process of its own, all under one deadline."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Kaggle
from ferpipe.sources.kaggle import client
from ferpipe.sources.kaggle.client import RESULT, MayPass, by_hand

# Seconds before the next try after a failure that may pass, doubled each time; and how many tries.
PAUSE = 1.0
TRIES = 5
STALL = 60.0  # seconds without a byte after which a try has failed


def download(kaggle: Kaggle, seconds: int, folder: Path) -> Path:
    """Run the client until it succeeds, fails for good, or the time is up.

    Between tries it waits as long as the server asks, at least `PAUSE` doubled with each try, and
    up to half of that more at random, so that many who failed together do not come back together.

    Args:
        kaggle: which data set.
        seconds: the time for all tries together.
        folder: where the zip goes.

    Returns:
        The zip in `folder`.

    Raises:
        PipelineError: Kaggle refuses, or the last try failed, or the time is up.
    """
    deadline = time.monotonic() + seconds
    zipped = folder / f"{kaggle.dataset.split('/')[1]}.zip"
    said: set[str] = set()
    for number in range(1, TRIES + 1):
        zipped.unlink(missing_ok=True)
        try:
            _run_client(kaggle, zipped, deadline, said)
            _check_zip(zipped, kaggle.dataset)
            return zipped
        except subprocess.TimeoutExpired:
            raise PipelineError(
                f"{kaggle.dataset} did not arrive within run.download_deadline = {seconds} "
                "seconds; try again, or raise run.download_deadline in params.yaml"
            ) from None
        except MayPass as problem:
            pause = max(PAUSE * 2 ** (number - 1), problem.wait or 0) * random.uniform(1, 1.5)
            if number == TRIES or time.monotonic() + pause >= deadline:
                asked = f" and asks to wait {problem.wait:.0f} s" if problem.wait else ""
                raise PipelineError(
                    f"{problem}{asked}, tries: {number}; try again later, or "
                    f"{by_hand(kaggle.dataset)}"
                ) from None
            say(f"{problem}; next try in {pause:.3g} s")
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _check_zip(zipped: Path, dataset: str) -> None:
    """Refuse what is no zip at all.

    Raises:
        MayPass: it may have been cut short where nobody said how long it is.
        PipelineError: it is a page.
    """
    if zipfile.is_zipfile(zipped):
        return
    with zipped.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"{")):
        kind = "a message, not a file" if start.startswith(b"{") else "a web page"
        raise PipelineError(
            f"what came for {dataset} is {kind}, perhaps from a proxy in between; try again, or "
            f"{by_hand(dataset)}"
        )
    size = zipped.stat().st_size
    raise MayPass(f"what came for {dataset} is {size} bytes that are no whole zip")


def _run_client(kaggle: Kaggle, zipped: Path, deadline: float, said: set[str]) -> None:
    """Run the client once, in a process that ends with this call, or with this process.

    Args:
        kaggle: which data set.
        zipped: the file that it writes.
        deadline: until when, as of `time.monotonic`.
        said: the client's notes that were printed before, to which new ones are added.

    Raises:
        subprocess.TimeoutExpired: the deadline passed; the process was killed.
        MayPass: it failed in a way that may pass.
        PipelineError: it failed for good.
    """
    terminal = sys.stderr.isatty()
    result = zipped.parent / RESULT
    result.unlink(missing_ok=True)
    # -P: nothing in the working folder can stand in for a module.
    command = [sys.executable, "-P", "-W", "ignore", "-m", client.__name__]
    with subprocess.Popen(
        [*command, kaggle.dataset, str(kaggle.version or ""), str(zipped.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None if terminal else subprocess.DEVNULL,  # the progress bar
        env=_environment(),
    ) as child:
        try:
            _wait(child, zipped, deadline)
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
    for note in outcome["notes"]:
        if note not in said:
            say(note)
            said.add(note)
    if outcome["may_pass"]:
        raise MayPass(outcome["problem"], outcome["wait"])
    if outcome["problem"] is not None:
        raise PipelineError(outcome["problem"])


def _environment() -> dict[str, str]:
    """The variables that the client runs with."""
    # VERBOSE makes the client print its requests with the token in them. An empty variable, as
    # CI sets it for a secret that it lacks, would hide a good kaggle.json.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VERBOSE") and (value.strip() or not name.startswith("KAGGLE_"))
    }
    source_root = str(Path(__file__).resolve().parents[2])
    paths = [source_root, os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _wait(child: subprocess.Popen, zipped: Path, deadline: float) -> None:
    """Wait for the end of the client, as long as bytes keep coming.

    Raises:
        subprocess.TimeoutExpired: the deadline passed.
        MayPass: nothing has come for `STALL` seconds.
    """
    size, since = 0, time.monotonic()
    while True:
        left = min(deadline, since + STALL) - time.monotonic()
        try:
            child.wait(min(left, 1.0))
            return
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if now >= deadline:
                raise
        found = zipped.stat().st_size if zipped.exists() else 0
        if found != size:
            size, since = found, now
        elif now >= since + STALL:
            raise MayPass(f"the connection to Kaggle stood still for {STALL:g} s") from None


def say(message: str) -> None:
    """Tell the user something that is no error."""
    print(f"download: {message}", file=sys.stderr)
