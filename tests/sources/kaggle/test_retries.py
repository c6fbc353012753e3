"""Failures between here and Kaggle, with the real client."""

from __future__ import annotations

import json
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

import certifi
import pytest
from kaggle_faces import ZIP, fetch, refused
from kaggle_server import BLOB, CONNECT, DOWNLOAD, INTROSPECT, Reply

import ferpipe
from ferpipe.sources.kaggle import retries

PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
HALF = len(ZIP) // 2
FLIPPED = bytearray(ZIP)
FLIPPED[ZIP.index(b"S000.png") + 40] ^= 4


class Fault(NamedTuple):
    """A part of the error, and the path whose `times` next requests get the reply."""

    text: str
    path: str = BLOB
    reply: Reply = Reply()
    times: int = 1


def json_reply(value: dict) -> Reply:
    return Reply(body=json.dumps(value).encode(), content_type="application/json")


# Another attempt cannot help, so there is one.
LASTING = {
    "401": Fault("KAGGLE_API_TOKEN (401), which have priority", DOWNLOAD, Reply(status=401)),
    "403": Fault("a browser and accept its terms", DOWNLOAD, Reply(status=403)),
    "404": Fault("Kaggle has no someone/faces (404); correct", DOWNLOAD, Reply(status=404)),
    "400": Fault("Kaggle answered 400 for someone/faces; down", DOWNLOAD, Reply(status=400)),
    "403 in a body with status 200": Fault(
        "a browser and accept its terms", DOWNLOAD, json_reply({"code": 403, "message": "No"})
    ),
    "JSON with status 200": Fault(
        "the response for someone/faces is a message, not a file",
        DOWNLOAD,
        json_reply({"message": "no"}),
    ),
    "page from the storage": Fault("for someone/faces is a web page", reply=Reply(body=PAGE)),
    "flipped bit": Fault("Kaggle's faces.zip is not a valid zip", reply=Reply(body=bytes(FLIPPED))),
    "proxy refuses": Fault(
        "the proxy in HTTPS_PROXY refuses to connect to Kaggle (407)",
        CONNECT,
        Reply(status=407),
        times=2,
    ),
}
# Another attempt may succeed.
PASSING = {
    **{
        str(status): Fault(f"Kaggle answered {status} for someone/", DOWNLOAD, Reply(status=status))
        for status in (429, 500, 503)
    },
    "502": Fault("Kaggle answered 502 for", DOWNLOAD, Reply(status=502, body=PAGE)),
    "503 in a body with status 200": Fault(
        "Kaggle answered 503 for", DOWNLOAD, json_reply({"code": 503, "message": "No"})
    ),
    **{
        f"{status} of the storage": Fault(
            f"Kaggle's storage answered {status}", reply=Reply(status=status)
        )
        for status in (403, 404, 503)
    },
    "proxy out of order": Fault("failed (Tunnel", CONNECT, Reply(status=503), times=2),
    "dropped by the API": Fault("to Kaggle failed (", DOWNLOAD, Reply(drop=True)),
    "dropped by the storage": Fault("to Kaggle failed (", reply=Reply(drop=True)),
    "reset by the API": Fault("to Kaggle failed (", DOWNLOAD, Reply(reset=True)),
    "reset by the storage": Fault("to Kaggle failed (", reply=Reply(reset=True)),
    "nothing": Fault("is 0 bytes, not a complete zip", reply=Reply(body=b"")),
    "truncated": Fault("to Kaggle failed (", reply=Reply(send=HALF)),
    "truncated, no length declared": Fault(
        f"is {HALF} bytes, not a complete zip", reply=Reply(send=HALF, length=False)
    ),
    "declared length too small": Fault(
        f"is {HALF} bytes, not a complete zip", reply=Reply(length=HALF)
    ),
    "declared length too large": Fault("to Kaggle failed (", reply=Reply(length=len(ZIP) + 1)),
}
# Replies that do not end.
HANGS = {
    "introspection": (INTROSPECT, Reply(hang=True)),
    "API": (DOWNLOAD, Reply(hang=True)),
    "storage": (BLOB, Reply(hang=True)),
    "middle of the body": (BLOB, Reply(hang=True, send=HALF)),
    "a byte a second": (BLOB, Reply(pause=1.0)),
}


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
def test_a_lasting_failure_has_one_attempt_and_a_rerun_succeeds(server, capfd, fault):
    server.answer(fault.path, *[fault.reply] * fault.times)
    assert fault.text in refused()
    assert "next attempt" not in capfd.readouterr().err
    assert len(fetch().images) == 6


def test_an_unknown_certificate_is_a_lasting_failure(server, monkeypatch, capfd):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert "set REQUESTS_CA_BUNDLE" in refused()
    assert "next attempt" not in capfd.readouterr().err


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_failure_is_printed_and_has_another_attempt(server, capfd, fault):
    server.answer(fault.path, *[fault.reply] * fault.times)
    assert len(fetch().images) == 6
    line = capfd.readouterr().err.splitlines()[0]
    assert fault.text in line
    assert "; next attempt in 0.01" in line


def test_a_failure_that_never_passes_ends_after_some_attempts(server, monkeypatch):
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    error = refused()
    assert "failed (Connection refused)" in error
    assert ", attempts: 2; try again later, or download the zip by hand from" in error


def test_the_pauses_double_and_are_partly_random(server, capfd):
    server.answer(DOWNLOAD, *[Reply(status=503)] * retries.ATTEMPTS)
    refused()
    lines = [line for line in capfd.readouterr().err.splitlines() if "next attempt" in line]
    pauses = [float(line.split()[-2]) for line in lines]
    factors = [pause / (retries.PAUSE * 2**number) for number, pause in enumerate(pauses)]
    assert len(server.asked(DOWNLOAD)) == retries.ATTEMPTS == len(pauses) + 1
    assert all(0.99 <= factor <= 1.51 for factor in factors)
    assert len(set(factors)) > 1


@pytest.mark.parametrize(("status", "as_date"), [(429, False), (503, True)])
def test_the_wait_that_the_server_asks_for_is_kept(server, capfd, status, as_date):
    wait = formatdate(time.time() + 2.5, usegmt=True) if as_date else "1"
    server.answer(DOWNLOAD, Reply(status=status, headers={"Retry-After": wait}))
    start = time.monotonic()
    fetch()
    assert time.monotonic() - start >= (0.5 if as_date else 1.0)
    line = capfd.readouterr().err.splitlines()[0]
    assert line.startswith(f"download: Kaggle answered {status} for someone/faces; next attempt in")


def test_a_wait_beyond_the_deadline_ends_the_download_at_once(server):
    server.answer(DOWNLOAD, Reply(status=429, headers={"Retry-After": "3600"}))
    start = time.monotonic()
    assert refused().startswith(
        "Kaggle answered 429 for someone/faces and asks to wait 3600 s, attempts: 1; try again"
    )
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("wait", ["soon", "-5", ""])
def test_an_invalid_wait_is_ignored(server, wait):
    server.answer(DOWNLOAD, Reply(status=429, headers={"Retry-After": wait}))
    assert len(fetch().images) == 6


@pytest.mark.parametrize(("path", "reply"), HANGS.values(), ids=HANGS)
def test_the_deadline_ends_a_download_that_hangs(server, path, reply):
    server.answer(path, reply)
    start = time.monotonic()
    assert "run.download_deadline = 4 seconds" in refused(deadline=4)
    assert time.monotonic() - start < 8
    requested = server.asked(path)  # not if the client took too long to start
    assert not requested or server.hung_up.wait(30), "the client's process still runs"


@pytest.mark.parametrize("name", ["middle of the body", "a byte a second"])
def test_a_stalled_attempt_is_followed_by_another(server, monkeypatch, capfd, name):
    monkeypatch.setattr(retries, "STALL", 3.0)
    server.answer(*HANGS[name])
    assert len(fetch().images) == 6
    line = capfd.readouterr().err.splitlines()[0]
    assert line.startswith("download: the connection to Kaggle stalled for 3 s; next attempt in")


def test_a_slow_connection_is_not_stalled(server, monkeypatch):
    monkeypatch.setattr(retries, "STALL", 3.0)
    server.answer(BLOB, Reply(pause=0.003))  # more than STALL in all
    assert len(fetch().images) == 6


def test_the_client_runs_the_code_of_this_checkout():
    first, *_ = retries._environment()["PYTHONPATH"].split(os.pathsep)
    assert Path(first) == Path(ferpipe.__file__).parents[1]
