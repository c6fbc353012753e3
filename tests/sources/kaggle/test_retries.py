"""What may go wrong between here and Kaggle, met by the real client."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from email.utils import formatdate

import certifi
import pytest
from kaggle_faces import TARGET, ZIP, params, refused, run
from kaggle_server import BLOB, CONNECT, DOWNLOAD, INTROSPECT, Reply

from ferpipe.sources.kaggle import retries, source

PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
HALF = len(ZIP) // 2
FLIPPED = bytearray(ZIP)
FLIPPED[ZIP.index(b"S000.png") + 40] ^= 4


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and what is said of it.

    Attributes:
        text: a piece of what is said.
        path: what is answered with `reply`.
        reply: how.
        times: how often one try asks for it.
        environment: variables that lead the client astray.
    """

    text: str
    path: str = BLOB
    reply: Reply = field(default_factory=Reply)
    times: int = 1
    environment: dict[str, str] = field(default_factory=dict)


def message(code: int) -> bytes:
    """An error in the body of an answer."""
    return json.dumps({"code": code, "message": "As the test says"}).encode()


def proxy(address: str) -> dict[str, str]:
    return {"HTTPS_PROXY": address, "https_proxy": address}


# What another try cannot mend, so there is one.
LASTING = {
    "401": Fault("KAGGLE_API_TOKEN (401), which go before", DOWNLOAD, Reply(status=401)),
    "403": Fault("a browser and accept its terms", DOWNLOAD, Reply(status=403)),
    "404": Fault("Kaggle has no someone/faces (404); correct", DOWNLOAD, Reply(status=404)),
    "400": Fault("Kaggle answered 400 for someone/faces; down", DOWNLOAD, Reply(status=400)),
    "403 in a body with status 200": Fault(
        "a browser and accept its terms",
        DOWNLOAD,
        Reply(body=message(403), content_type="application/json"),
    ),
    "JSON with status 200": Fault(
        "what came for someone/faces is a message, not a file",
        DOWNLOAD,
        Reply(body=b'{"message": "no"}', content_type="application/json"),
    ),
    "JSON from the storage": Fault(
        "is a message, not a file",
        reply=Reply(body=b'{"error": 1}', content_type="application/octet-stream"),
    ),
    "page from the API": Fault(
        "what came for someone/faces is a web page",
        DOWNLOAD,
        Reply(body=PAGE, content_type="text/html"),
    ),
    "page from the storage": Fault("is a web page", reply=Reply(body=PAGE)),
    "flipped bit": Fault("Kaggle's faces.zip is not a sound zip", reply=Reply(body=bytes(FLIPPED))),
    "certificate of nobody known": Fault(
        "set REQUESTS_CA_BUNDLE", environment={"REQUESTS_CA_BUNDLE": certifi.where()}
    ),
    "proxy refuses": Fault(
        "the proxy that HTTPS_PROXY names refuses to connect to Kaggle (407)",
        CONNECT,
        Reply(status=407),
        times=2,
    ),
}
# What another try may not meet.
PASSING = {
    "429": Fault("Kaggle answered 429 for someone/faces", DOWNLOAD, Reply(status=429)),
    "500": Fault("Kaggle answered 500 for", DOWNLOAD, Reply(status=500)),
    "502": Fault("Kaggle answered 502 for", DOWNLOAD, Reply(status=502, body=PAGE)),
    "503": Fault("Kaggle answered 503 for", DOWNLOAD, Reply(status=503)),
    "503 in a body with status 200": Fault(
        "Kaggle answered 503 for",
        DOWNLOAD,
        Reply(body=message(503), content_type="application/json"),
    ),
    "403 of the storage": Fault("Kaggle's storage answered 403", reply=Reply(status=403)),
    "404 of the storage": Fault("Kaggle's storage answered 404", reply=Reply(status=404)),
    "503 of the storage": Fault("Kaggle's storage answered 503", reply=Reply(status=503)),
    "proxy out of order": Fault("failed (Tunnel", CONNECT, Reply(status=503), times=2),
    "dropped by the API": Fault("to Kaggle failed (", DOWNLOAD, Reply(drop=True)),
    "dropped by the storage": Fault("to Kaggle failed (", reply=Reply(drop=True)),
    "reset by the API": Fault("to Kaggle failed (", DOWNLOAD, Reply(reset=True)),
    "reset by the storage": Fault("to Kaggle failed (", reply=Reply(reset=True)),
    "nothing": Fault("is 0 bytes that are no whole zip", reply=Reply(body=b"")),
    "cut short": Fault("to Kaggle failed (", reply=Reply(send=HALF)),
    "cut short, length not told": Fault(
        f"is {HALF} bytes that are no whole zip", reply=Reply(send=HALF, length=False)
    ),
    "length told too small": Fault(
        f"is {HALF} bytes that are no whole zip", reply=Reply(length=HALF)
    ),
    "length told too large": Fault("to Kaggle failed (", reply=Reply(length=len(ZIP) + 1)),
}
# What may pass and here does not.
NOWHERE = {
    "nobody listens": Fault("failed (Connection refused)", environment=proxy("http://127.0.0.1:1")),
    "no such name": Fault("failed (", environment=proxy("http://nowhere.invalid:80")),
}
# What comes to no end by itself.
HANGS = {
    "introspection": (INTROSPECT, Reply(hang=True)),
    "API": (DOWNLOAD, Reply(hang=True)),
    "storage": (BLOB, Reply(hang=True)),
    "middle of the body": (BLOB, Reply(hang=True, send=HALF)),
    "a byte a second": (BLOB, Reply(pause=1.0)),
}


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
def test_what_lasts_is_met_once_and_told_and_a_rerun_succeeds(server, monkeypatch, capfd, fault):
    server.answer(fault.path, *[fault.reply] * fault.times)
    with monkeypatch.context() as astray:
        for name, value in fault.environment.items():
            astray.setenv(name, value)
        assert fault.text in refused(params())
    assert "next try" not in capfd.readouterr().err

    assert len(source.fetch(params(), run(), TARGET).images) == 6


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_told_and_tried_again(server, capfd, fault):
    server.answer(fault.path, *[fault.reply] * fault.times)

    assert len(source.fetch(params(), run(), TARGET).images) == 6

    told = capfd.readouterr().err.splitlines()[0]
    assert fault.text in told
    assert "; next try in 0.01" in told


@pytest.mark.parametrize("fault", NOWHERE.values(), ids=NOWHERE)
def test_what_never_passes_ends_after_some_tries(server, monkeypatch, fault):
    monkeypatch.setattr(retries, "TRIES", 2)
    for name, value in fault.environment.items():
        monkeypatch.setenv(name, value)

    error = refused(params())

    assert fault.text in error
    assert ", tries: 2; try again later, or download the zip by hand from" in error


def test_the_pauses_double_and_are_not_the_same_for_everybody(server, capfd):
    server.answer(DOWNLOAD, *[Reply(status=503)] * retries.TRIES)

    refused(params())

    lines = [line for line in capfd.readouterr().err.splitlines() if "next try" in line]
    pauses = [float(line.split()[-2]) for line in lines]
    shares = [pause / (retries.PAUSE * 2**number) for number, pause in enumerate(pauses)]
    assert len(server.asked(DOWNLOAD)) == retries.TRIES == len(pauses) + 1
    assert all(0.99 <= share <= 1.51 for share in shares)
    assert len(set(shares)) > 1


@pytest.mark.parametrize(("status", "as_date"), [(429, False), (503, True)])
def test_the_wait_that_the_server_asks_for_is_kept(server, capfd, status, as_date):
    wait = formatdate(time.time() + 2.5, usegmt=True) if as_date else "1"
    server.answer(DOWNLOAD, Reply(status=status, headers={"Retry-After": wait}))
    start = time.monotonic()

    source.fetch(params(), run(), TARGET)

    assert time.monotonic() - start >= (0.5 if as_date else 1.0)
    told = capfd.readouterr().err.splitlines()[0]
    assert told.startswith(f"download: Kaggle answered {status} for someone/faces; next try in ")


def test_a_wait_beyond_the_deadline_ends_the_download_at_once(server):
    server.answer(DOWNLOAD, Reply(status=429, headers={"Retry-After": "3600"}))
    start = time.monotonic()

    error = refused(params())

    assert error.startswith(
        "Kaggle answered 429 for someone/faces and asks to wait 3600 s, tries: 1; try again later"
    )
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("wait", ["soon", "-5", ""])
def test_a_wait_that_makes_no_sense_is_not_kept(server, wait):
    server.answer(DOWNLOAD, Reply(status=429, headers={"Retry-After": wait}))

    assert len(source.fetch(params(), run(), TARGET).images) == 6


@pytest.mark.parametrize(("path", "reply"), HANGS.values(), ids=HANGS)
def test_the_deadline_ends_a_download_that_hangs(server, path, reply):
    server.answer(path, reply)
    start = time.monotonic()

    error = refused(params(), deadline=4)

    assert "run.download_deadline = 4 seconds" in error
    assert time.monotonic() - start < 8
    was_asked = server.asked(path)  # not where the client took so long to start
    assert not was_asked or server.hung_up.wait(30), "the client's process still runs"


@pytest.mark.parametrize("name", ["middle of the body", "a byte a second"])
def test_a_try_that_stands_still_is_given_up_for_another(server, monkeypatch, capfd, name):
    monkeypatch.setattr(retries, "STALL", 3.0)
    server.answer(*HANGS[name])

    assert len(source.fetch(params(), run(), TARGET).images) == 6

    line = capfd.readouterr().err.splitlines()[0]
    assert line.startswith("download: the connection to Kaggle stood still for 3 s; next try in")


def test_a_slow_connection_is_none_that_stands_still(server, monkeypatch):
    monkeypatch.setattr(retries, "STALL", 3.0)
    server.answer(BLOB, Reply(pause=0.003))  # more than STALL in all

    assert len(source.fetch(params(), run(), TARGET).images) == 6
