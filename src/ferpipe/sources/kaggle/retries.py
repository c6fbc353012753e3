"""Attempts of Kaggle's client, each in a process of its own, all under one deadline."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from ferpipe.core.children import with_package
from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Kaggle
from ferpipe.sources.kaggle import client
from ferpipe.sources.kaggle.client import RESULT, MayPass, by_hand

PAUSE = 1.0  # seconds before the second attempt, doubled each time
ATTEMPTS = 5
STALL = 60.0  # seconds without a byte after which an attempt has failed


def download(kaggle: Kaggle, seconds: int, folder: Path) -> Path:
    """Run the client until it succeeds, fails for good, or `seconds` have passed; returns the zip.

    Between attempts it waits as long as the server asks, at least `PAUSE` doubled with each
    attempt, and up to half of that longer at random, so that clients do not return together.
    """
    deadline = time.monotonic() + seconds
    zipped = folder / f"{kaggle.dataset.split('/')[1]}.zip"
    printed: set[str] = set()
    for attempt in itertools.count(1):
        zipped.unlink(missing_ok=True)
        try:
            _run_client(kaggle, zipped, deadline, printed)
            _check_zip(zipped, kaggle.dataset)
            return zipped
        except subprocess.TimeoutExpired:
            late = f"did not arrive within run.download_deadline = {seconds} seconds"
            remedy = "try again, or raise run.download_deadline in params.yaml"
            raise PipelineError(f"{kaggle.dataset} {late}; {remedy}") from None
        except MayPass as problem:
            pause = max(PAUSE * 2 ** (attempt - 1), problem.wait) * random.uniform(1, 1.5)
            if attempt == ATTEMPTS or time.monotonic() + pause >= deadline:
                wait = f" and asks to wait {problem.wait:.0f} s" if problem.wait else ""
                remedy = f"try again later, or {by_hand(kaggle.dataset)}"
                raise PipelineError(f"{problem}{wait}, attempts: {attempt}; {remedy}") from None
            say(f"{problem}; next attempt in {pause:.3g} s")
            time.sleep(pause)


def _check_zip(zipped: Path, dataset: str) -> None:
    """Raise PipelineError if the file is a web page or message, MayPass if it may be truncated."""
    if zipfile.is_zipfile(zipped):
        return
    size = zipped.stat().st_size
    with zipped.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"{")):
        kind = "a message, not a file" if start.startswith(b"{") else "a web page"
        proxy = f"the response for {dataset} is {kind}, perhaps from a proxy"
        raise PipelineError(f"{proxy}; try again, or {by_hand(dataset)}")
    raise MayPass(f"the response for {dataset} is {size} bytes, not a complete zip")


def _run_client(kaggle: Kaggle, zipped: Path, deadline: float, printed: set[str]) -> None:
    """Run the client once, in a process that ends with this call, or with this process.

    Its new notes are printed and added to `printed`. Raises MayPass if another attempt may succeed,
    subprocess.TimeoutExpired after `deadline` (of `time.monotonic`).
    """
    terminal = sys.stderr.isatty()
    result = zipped.parent / RESULT
    result.unlink(missing_ok=True)
    # -P: no file in the working folder can replace a module.
    command = [sys.executable, "-P", "-W", "ignore", "-m", client.__name__]
    with subprocess.Popen(
        [*command, kaggle.dataset, str(kaggle.version or ""), zipped.parent],
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
                    print(file=sys.stderr)  # ends the line of the progress bar
    if not result.is_file():
        ended = f"the Kaggle client ended with exit code {child.returncode} and no message"
        raise PipelineError(f"{ended}; try again, or {by_hand(kaggle.dataset)}")
    outcome = json.loads(result.read_text(encoding="utf-8"))
    for note in set(outcome["notes"]) - printed:
        say(note)
    printed.update(outcome["notes"])
    if outcome["wait"] is not None:
        raise MayPass(outcome["problem"], outcome["wait"])
    if outcome["problem"] is not None:
        raise PipelineError(outcome["problem"])


def _environment() -> dict[str, str]:
    """The environment variables of the client."""
    # With VERBOSE the client prints its requests, token included. An empty variable, which CI sets
    # for a missing secret, would hide a valid kaggle.json.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VERBOSE") and (value.strip() or not name.startswith("KAGGLE_"))
    }
    return with_package(environment)


def _wait(child: subprocess.Popen, zipped: Path, deadline: float) -> None:
    """Wait for the client's end; raises MayPass after `STALL` seconds without a new byte."""
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
        new_size = zipped.stat().st_size if zipped.exists() else 0
        if new_size != size:
            size, since = new_size, now
        elif now >= since + STALL:
            raise MayPass(f"the connection to Kaggle stalled for {STALL:g} s") from None


def say(message: str) -> None:
    """Print a note that is not an error."""
    print(f"download: {message}", file=sys.stderr)
