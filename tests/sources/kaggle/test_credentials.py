"""Which credentials the real client sends, and that none of them ever shows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from kaggle_faces import SECRET, fetch, refused
from kaggle_server import BLOB, CONNECT, DOWNLOAD, INTROSPECT, SIGNATURE, Reply

from ferpipe.core.errors import PipelineError
from ferpipe.sources.kaggle import retries

PROXY_SECRET = "SECRET-of-the-proxy"
KEY_FILE = json.dumps({"username": "someone", "key": SECRET})
TOKEN = {"access_token": SECRET, "access_token_expiration": "2999-01-01T00:00:00+00:00"}
LOGIN_FILE = json.dumps({"username": "someone", "refresh_token": "not needed", **TOKEN})
BASIC = "Basic c29tZW9uZTpTRUNSRVQtdG9rZW4tb3Ita2V5"  # someone:SECRET-token-or-key


@pytest.fixture
def no_credentials(monkeypatch):
    """No credentials, unless the test gives some."""
    monkeypatch.delenv("KAGGLE_API_TOKEN")


def write(path, text, mode=0o600):
    """Write a file of credentials; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("variables", "file", "text", "sent"),
    [
        ({"KAGGLE_API_TOKEN": SECRET}, None, "", f"Bearer {SECRET}"),
        ({}, "home/.kaggle/access_token", SECRET, f"Bearer {SECRET}"),
        ({"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": SECRET}, None, "", BASIC),
        ({"KAGGLE_CONFIG_DIR": "keys"}, "keys/kaggle.json", KEY_FILE, BASIC),
        ({"KAGGLE_KEY": ""}, "home/.kaggle/kaggle.json", KEY_FILE, BASIC),
        ({}, "home/.config/kaggle/kaggle.json", KEY_FILE, BASIC),
        ({}, "home/.kaggle/credentials.json", LOGIN_FILE, f"Bearer {SECRET}"),
    ],
    ids=["token", "token file", "key", "config dir", "~/.kaggle", "~/.config", "login"],
)
def test_every_way_to_give_credentials(
    server, no_credentials, monkeypatch, tmp_path, variables, file, text, sent
):
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name.endswith("DIR") else value)
    if file:
        write(tmp_path / file, text)
    fetch()
    assert server.asked(DOWNLOAD)[0].headers["Authorization"] == sent


WITHOUT = "download: no Kaggle credentials found; requesting someone/faces without any"


@pytest.mark.parametrize("status", [401, 403])
def test_missing_credentials_are_an_error_with_every_remedy(server, no_credentials, status, capfd):
    server.answer(DOWNLOAD, Reply(status=status))
    message = refused()
    for way in (
        *("KAGGLE_API_TOKEN", "~/.kaggle/access_token", "KAGGLE_USERNAME and KAGGLE_KEY"),
        *("kaggle.json in $KAGGLE_CONFIG_DIR, ~/.kaggle or ~/.config/kaggle", "kaggle auth login"),
        *("download.source: local", "download.local.path", f"({status})"),
    ):
        assert way in message
    assert len(server.asked(DOWNLOAD)) == 1
    assert capfd.readouterr().err.splitlines() == [WITHOUT]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"KAGGLE_API_TOKEN": "  "},
        {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""},
        {"KAGGLE_CONFIG_DIR": ""},
    ],
)
def test_a_public_data_set_needs_no_credentials(
    server, no_credentials, monkeypatch, capfd, variables
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert len(fetch().images) == 6
    assert "Authorization" not in server.asked(DOWNLOAD)[0].headers
    assert capfd.readouterr().err.splitlines()[0] == WITHOUT


@pytest.mark.parametrize("name", ["KAGGLE_USERNAME", "KAGGLE_KEY"])
def test_half_of_a_pair_is_an_error(server, no_credentials, monkeypatch, name):
    monkeypatch.setenv(name, SECRET)
    assert f"{name} is set and KAGGLE_" in refused()
    assert server.requests == []


def test_the_key_in_the_home_folder_is_sent_although_another_folder_is_named(
    server, no_credentials, monkeypatch, tmp_path
):
    write(tmp_path / "home/.kaggle/kaggle.json", KEY_FILE)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    server.answer(DOWNLOAD, Reply(status=401))
    assert "credentials in ~/.kaggle/kaggle.json (401)" in refused()
    assert server.asked(DOWNLOAD)[0].headers["Authorization"] == BASIC


@pytest.mark.parametrize(
    ("name", "text", "mode", "warned"),
    [
        ("kaggle.json", KEY_FILE, 0o600, 0),
        ("kaggle.json", KEY_FILE, 0o640, 1),
        ("access_token", SECRET, 0o604, 1),
        ("credentials.json", LOGIN_FILE, 0o644, 1),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_file_that_others_can_read_gives_one_warning(
    server, no_credentials, tmp_path, capfd, name, text, mode, warned
):
    path = write(tmp_path / "home/.kaggle" / name, text, mode)
    server.answer(DOWNLOAD, Reply(status=503))  # so that there are two tries
    fetch()
    line = f"download: WARNING: others on this machine can read {path}; run `chmod 600 {path}`"
    assert capfd.readouterr().err.splitlines().count(line) == warned


@pytest.mark.parametrize(
    "reply",
    [Reply(status=401), Reply(body=b'{"active": false}', content_type="application/json")],
    ids=["refused", "not active"],
)
def test_a_bad_token_has_priority_over_a_good_key_and_is_named(server, monkeypatch, reply):
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "good")
    server.answer(INTROSPECT, reply)
    server.answer(DOWNLOAD, Reply(status=401))
    message = refused()
    assert "credentials in KAGGLE_API_TOKEN (401), which have priority over all others" in message
    assert "make new ones at https://www.kaggle.com/settings, or remove them" in message


@pytest.mark.parametrize(
    "text",
    [
        f'{{"username": "someone", "key": "{SECRET}',
        *("[1]", "{}", '{"username": "", "key": ""}', "", "\udcff"),
    ],
    ids=["truncated", "a list", "no key", "empty strings", "empty", "not UTF-8"],
)
def test_a_malformed_kaggle_json_is_named(server, no_credentials, tmp_path, text):
    path = write(tmp_path / "home/.kaggle/kaggle.json", text)
    assert refused().startswith(f"{path} is not a Kaggle key")
    assert server.requests == []


ANSWERS = {
    "all well": (BLOB, Reply()),
    "storage drops": (BLOB, Reply(drop=True)),
    "storage refuses": (BLOB, Reply(status=403)),
    "token refused": (DOWNLOAD, Reply(status=401)),
    "token sent back": (DOWNLOAD, Reply(status=400, body=SECRET.encode())),
    "proxy refuses": (CONNECT, Reply(status=407)),
}


@pytest.mark.parametrize(
    ("kind", "answer"), [*(("token", name) for name in ANSWERS), ("key", "token refused")]
)
def test_no_secret_is_printed_or_written(server, monkeypatch, capfd, kind, answer):
    path, reply = ANSWERS[answer]
    if kind == "key":
        monkeypatch.delenv("KAGGLE_API_TOKEN")
        monkeypatch.setenv("KAGGLE_USERNAME", "someone")
        monkeypatch.setenv("KAGGLE_KEY", SECRET)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, os.environ[name].replace("//", f"//user:{PROXY_SECRET}@"))
    monkeypatch.setenv("VERBOSE", "1")  # the client then prints its requests, token and all
    monkeypatch.setenv("VERBOSE_OUTPUT", "1")
    monkeypatch.setattr(retries, "ATTEMPTS", 2)
    server.answer(path, reply, reply)

    try:
        fetch()
        shown = ""
    except PipelineError as error:
        shown = str(error)

    shown += "".join(capfd.readouterr())
    shown += "".join(p.read_bytes().decode("latin-1") for p in Path().rglob("*") if p.is_file())
    for secret in (SECRET, SIGNATURE, PROXY_SECRET, BASIC.split()[1]):
        assert secret not in shown


def test_a_token_that_cannot_be_sent_is_not_shown(server, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{SECRET}\nsecond line")
    assert "the Kaggle client failed (" in refused()
