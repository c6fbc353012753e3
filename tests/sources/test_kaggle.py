"""The real Kaggle client against `KaggleServer`, over TLS and a redirect; nothing is patched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from kaggle_server import (
    BLOB,
    DOWNLOAD,
    INTROSPECT,
    SIGNATURE,
    KaggleServer,
    Reply,
    kaggle_server,  # noqa: F401 - a fixture
)
from PIL import Image

from ferpipe import archive
from ferpipe.errors import PipelineError
from ferpipe.params.download import Download, Expect, Kaggle, Local, Sample
from ferpipe.params.run import Run
from ferpipe.sources import kaggle, local

SECRET = "SECRET-token-or-key"
TARGET = Path("data/raw/images.zip")


def face(seed: int) -> bytes:
    """A tiny PNG of noise: a face to the pipeline, and large enough to be cut in the middle."""
    pixels = random.Random(seed).randbytes(16 * 16)
    file = io.BytesIO()
    Image.frombytes("L", (16, 16), pixels).save(file, "png")
    return file.getvalue()


FACES = {
    f"{label}/S{n:03}.png": face(n * 7 + len(label)) for label in ("anger", "joy") for n in range(3)
}


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip as Kaggle makes it: compressed, dated, in any order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in reversed(files.items()):
            zipped.writestr(name, data)
    return file.getvalue()


ZIP = zip_of({f"CK+48/{name}": data for name, data in FACES.items()})


def params(
    digest: str | None = None,
    root: str | None = None,
    version: int | None = None,
    path: str = "unused",
) -> Download:
    return Download(
        source="kaggle",
        root=root,
        max_bad_fraction=0.0,
        expect=Expect(class_counts=None, digest=digest),
        sample=Sample(subjects=2, seed=1),
        kaggle=Kaggle(dataset="someone/faces", version=version),
        local=Local(path=path),
    )


def run(deadline: int = 60) -> Run:
    return Run(workers=1, download_deadline=deadline, checkpoint_seconds=0)


@pytest.fixture
def server(kaggle_server, tmp_path, monkeypatch) -> KaggleServer:  # noqa: F811
    """A server with the faces, an empty repository as working folder, and a token."""
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    monkeypatch.setattr(kaggle, "PAUSES", (0.01, 0.01))
    kaggle_server.datasets["someone/faces"] = ZIP
    return kaggle_server


@pytest.fixture(scope="module")
def digest(tmp_path_factory) -> str:
    """The digest of the faces' content."""
    folder = tmp_path_factory.mktemp("digest")
    (folder / "local.zip").write_bytes(ZIP)
    return archive.repack(folder / "local.zip", folder / "images.zip", None, 0.0).digest


def refused(download: Download, deadline: int = 60) -> str:
    """Fetch, expect an error of one line, and find nothing left behind."""
    with pytest.raises(PipelineError) as caught:
        kaggle.fetch(download, run(deadline), TARGET)
    assert not TARGET.exists()
    assert list(Path(".ferpipe").glob("download-*")) == []
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message and SIGNATURE not in message
    return message


def test_kaggle_zip_local_zip_and_local_folder_give_the_same_archive(server):
    contents = kaggle.fetch(params(), run(), TARGET)

    Path("local.zip").write_bytes(ZIP)
    for name, data in FACES.items():
        path = Path("folder", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert local.fetch(params(path="local.zip"), run(), Path("a.zip")) == contents
    assert local.fetch(params(path="folder"), run(), Path("b.zip")) == contents
    assert TARGET.read_bytes() == Path("a.zip").read_bytes() == Path("b.zip").read_bytes()
    assert dict(archive.read_images(TARGET)) == FACES
    assert contents.class_counts == {"anger": 3, "joy": 3}


def test_the_client_stays_out_of_this_process_and_its_token_away_from_the_storage(server):
    kaggle.fetch(params(), run(), TARGET)

    assert "kaggle" not in sys.modules
    assert [request.path.split("?")[0] for request in server.requests] == [
        INTROSPECT,
        DOWNLOAD,
        BLOB,
    ]
    assert server.asked(DOWNLOAD)[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert "Authorization" not in server.asked(BLOB)[0].headers


def test_the_version_is_asked_for(server):
    server.datasets = {"someone/faces/7": ZIP}

    kaggle.fetch(params(version=7), run(), TARGET)

    assert server.asked(DOWNLOAD)[0].json == {
        "ownerSlug": "someone",
        "datasetSlug": "faces",
        "datasetVersionNumber": 7,
    }


def test_the_same_tree_twice_counts_once(server, digest):
    twice = {
        f"{root}/{name}": data for root in ("CK+48", "ck/CK+48") for name, data in FACES.items()
    }
    server.datasets["someone/faces"] = zip_of(twice)

    assert kaggle.fetch(params(digest), run(), TARGET).digest == digest


def test_trees_that_differ_must_be_chosen_from(server, digest):
    trees = {f"{root}/{name}": data for root in ("one", "two") for name, data in FACES.items()}
    trees["two/anger/S000.png"] = face(99)
    server.datasets["someone/faces"] = zip_of(trees)

    message = refused(params())
    assert message.startswith("Kaggle's faces.zip has class folders in several places that differ")
    assert "set download.root to one of them" in message
    assert kaggle.fetch(params(digest, root="one"), run(), TARGET).digest == digest


KEY_FILE = json.dumps({"username": "someone", "key": SECRET})
LOGIN_FILE = json.dumps(
    {
        "username": "someone",
        "access_token": SECRET,
        "access_token_expiration": "2999-01-01T00:00:00+00:00",
        "refresh_token": "not needed",
    }
)
BASIC = "Basic c29tZW9uZTpTRUNSRVQtdG9rZW4tb3Ita2V5"  # someone:SECRET-token-or-key


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
def test_every_way_to_give_credentials(server, monkeypatch, tmp_path, variables, file, text, sent):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name.endswith("DIR") else value)
    if file:
        path = tmp_path / file
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o600)

    kaggle.fetch(params(), run(), TARGET)

    assert server.asked(DOWNLOAD)[0].headers["Authorization"] == sent


def test_without_credentials_the_error_names_every_way(server, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")

    message = refused(params())

    for way in (
        *("KAGGLE_API_TOKEN", "~/.kaggle/access_token", "KAGGLE_USERNAME and KAGGLE_KEY"),
        *("kaggle.json in $KAGGLE_CONFIG_DIR, ~/.kaggle or ~/.config/kaggle", "kaggle auth login"),
        *("download.source: local", "download.local.path"),
    ):
        assert way in message
    assert server.requests == []


@pytest.mark.parametrize("text", [f'{{"username": "someone", "key": "{SECRET}', "[1]", "{}"])
def test_a_malformed_kaggle_json_is_named(server, monkeypatch, tmp_path, text):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    path = tmp_path / "home/.kaggle/kaggle.json"
    path.parent.mkdir()
    path.write_text(text)

    assert refused(params()).startswith(f"{path} is not a Kaggle key")
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "texts"),
    [
        (401, ("KAGGLE_API_TOKEN (401)", "https://www.kaggle.com/settings")),
        (403, ("(403)", "https://www.kaggle.com/datasets/someone/faces", "accept its terms")),
        (404, ("no someone/faces, version 3 (404)", "download.kaggle.version")),
    ],
)
def test_what_kaggle_refuses_is_asked_once_and_explained(server, status, texts):
    server.answer(DOWNLOAD, Reply(status=status))

    message = refused(params(version=3))

    assert all(text in message for text in texts), message
    assert len(server.asked(DOWNLOAD)) == 1


def test_a_refused_token_is_named_although_a_good_key_is_there(server, monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "good")
    server.answer(INTROSPECT, Reply(status=401))
    server.answer(DOWNLOAD, Reply(status=401))

    assert "KAGGLE_API_TOKEN (401)" in refused(params())


def test_failures_that_may_pass_are_tried_again(server, capfd):
    server.answer(DOWNLOAD, Reply(status=503), Reply(drop=True))

    kaggle.fetch(params(), run(), TARGET)

    assert len(server.asked(DOWNLOAD)) == 3
    first, second = capfd.readouterr().err.splitlines()[:2]
    assert first == "download: Kaggle answered 503 for someone/faces; next try in 0.01 s"
    assert second.startswith("download: the connection to Kaggle failed (")


def test_tries_come_to_an_end(server):
    server.close()

    assert "failed (Connection refused); try again later" in refused(params())


def test_a_certificate_that_nobody_vouches_for(server, monkeypatch):
    with KaggleServer() as other:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", other.environment["REQUESTS_CA_BUNDLE"])

        assert "set REQUESTS_CA_BUNDLE" in refused(params())


@pytest.mark.parametrize("path", [INTROSPECT, BLOB])
def test_the_deadline_ends_a_download_that_hangs(server, path):
    server.answer(path, Reply(hang=True))
    start = time.monotonic()

    message = refused(params(), deadline=5)

    assert "run.download_deadline = 5 seconds" in message
    assert time.monotonic() - start < 8
    assert server.hung_up.wait(30), "the client's process still runs"


FETCH = """
import signal
# As at a terminal: what runs in the background of a shell inherits a SIGINT that is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from ferpipe.errors import exits_cleanly
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources import kaggle

params = Download.model_validate_json(sys.argv[1])
run = Run.model_validate_json(sys.argv[2])
exits_cleanly("download")(kaggle.fetch)(params, run, Path(sys.argv[3]))
"""


def fetch_elsewhere(**options: object) -> subprocess.Popen:
    """Fetch in a process of its own, which can be interrupted or have a terminal."""
    arguments = [params().model_dump_json(), run().model_dump_json(), str(TARGET)]
    return subprocess.Popen([sys.executable, "-c", FETCH, *arguments], **options)


def wait_for_request(server: KaggleServer, path: str) -> None:
    until = time.monotonic() + 30
    while not server.asked(path) and time.monotonic() < until:
        time.sleep(0.02)
    assert server.asked(path)


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_ctrl_c_ends_the_client_and_leaves_nothing(server):
    server.answer(BLOB, Reply(hang=True))

    with fetch_elsewhere(stderr=subprocess.PIPE, start_new_session=True) as process:
        wait_for_request(server, BLOB)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process of the job
        _, errors = process.communicate(timeout=90)

    assert (process.returncode, errors) == (130, b"download: interrupted\n")
    assert server.hung_up.wait(30), "the client's process still runs"
    assert list(Path(".ferpipe").iterdir()) == []


def test_the_client_ends_with_a_parent_that_is_killed(server):
    server.answer(BLOB, Reply(hang=True))

    with fetch_elsewhere() as process:
        wait_for_request(server, BLOB)
        process.kill()

    assert server.hung_up.wait(30), "the client's process still runs"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_bytes_and_rate_and_none_of_the_client_s_chatter(server):
    import termios  # not on Windows

    try:
        reader, terminal = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminals")
    termios.tcsetwinsize(terminal, (24, 100))
    with fetch_elsewhere(stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux ends a terminal that nobody writes to
            while data := os.read(reader, 4096):
                shown += data
    os.close(reader)

    assert process.returncode == 0
    lines = [line.split("\r")[-1] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert re.match(r"100%.*\d(\.\d+)?k/\d(\.\d+)?k.*B/s", lines[0]), lines
    assert [line for line in lines[1:] if line and "images" not in line] == [
        "download: not kept for the next time, because download.expect.digest is null"
    ]


PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(body=PAGE, content_type="text/html"), "what came for someone/faces is a web page"),
        (Reply(body=b"{}"), "is 2 bytes that are no whole zip"),
        (Reply(body=b""), "is 0 bytes that are no whole zip"),
        (Reply(length=False, send=len(ZIP) // 2), f"is {len(ZIP) // 2} bytes that are no whole"),
    ],
    ids=["web page", "no zip", "nothing", "cut short without a length"],
)
def test_what_is_no_zip_is_not_taken(server, reply, text):
    server.answer(BLOB, reply)

    assert text in refused(params())


def test_a_body_that_stays_cut_short_is_not_taken(server):
    server.answer(BLOB, *[Reply(send=len(ZIP) // 2)] * 9)

    assert "run.download_deadline = 3 seconds" in refused(params(), deadline=3)


def test_a_flipped_bit_is_found(server):
    at = ZIP.index(b"S000.png") + 40
    server.answer(BLOB, Reply(body=ZIP[:at] + bytes([ZIP[at] ^ 4]) + ZIP[at + 1 :]))

    assert "Kaggle's faces.zip is not a sound zip" in refused(params())


def test_other_images_than_pinned_are_not_taken(server, digest):
    server.datasets["someone/faces"] = zip_of({**FACES, "anger/S000.png": face(99)})

    message = refused(params(digest))

    assert f"not those of download.expect.digest ({digest})" in message
    assert not Path(".ferpipe/downloads").exists()


def test_a_pinned_download_is_kept_and_needs_neither_network_nor_token(server, digest, monkeypatch):
    server.datasets["someone/faces"] = zip_of({"README.txt": b"hello", **FACES})
    first = kaggle.fetch(params(digest), run(), TARGET)
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    server.close()

    second = kaggle.fetch(params(digest), run(), Path("again.zip"))

    assert second == first
    assert second.skipped == [("README.txt", "not an image file")]
    assert Path("again.zip").read_bytes() == TARGET.read_bytes()
    assert list(kaggle.KEPT.iterdir()) == [kaggle.KEPT / f"{digest}.zip"]


@pytest.mark.parametrize("damage", ["flipped bit", "other images", "no zip"])
def test_a_kept_download_that_is_damaged_is_fetched_again(server, digest, capfd, damage):
    kept = Path(".ferpipe/downloads", f"{digest}.zip")
    kept.parent.mkdir(parents=True)
    flipped = bytearray(ZIP)
    flipped[ZIP.index(b"S000.png") + 40] ^= 4
    other = zip_of({**FACES, "anger/S000.png": face(99)})
    kept.write_bytes({"flipped bit": flipped, "other images": other, "no zip": b"x"}[damage])

    assert kaggle.fetch(params(digest), run(), TARGET).digest == digest

    assert kept.read_bytes() == ZIP
    (line,) = capfd.readouterr().err.splitlines()
    assert str(kept) in line and line.endswith("; downloading again")


def test_without_a_pin_nothing_is_kept(server, capfd):
    kaggle.fetch(params(), run(), TARGET)
    kaggle.fetch(params(), run(), TARGET)

    assert len(server.asked(DOWNLOAD)) == 2
    assert list(Path(".ferpipe").iterdir()) == []
    output = capfd.readouterr()
    assert output.out == ""
    note = "download: not kept for the next time, because download.expect.digest is null"
    assert output.err.splitlines() == [note, note]


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        (BLOB, Reply()),
        (BLOB, Reply(drop=True)),
        (DOWNLOAD, Reply(status=401)),
        (DOWNLOAD, Reply(status=400, body=SECRET.encode(), content_type="text/plain")),
    ],
    ids=["all well", "storage drops", "token refused", "token sent back"],
)
def test_no_secret_shows_anywhere(server, monkeypatch, capfd, path, reply):
    monkeypatch.setenv("VERBOSE", "1")  # the client then prints its requests, token and all
    monkeypatch.setenv("VERBOSE_OUTPUT", "1")
    server.answer(path, reply, reply, reply)

    try:
        kaggle.fetch(params(), run(), TARGET)
        shown = ""
    except PipelineError as error:
        shown = str(error)

    shown += "".join(capfd.readouterr())
    shown += "".join(p.read_bytes().decode("latin-1") for p in Path().rglob("*") if p.is_file())
    assert SECRET not in shown and SIGNATURE not in shown


def test_a_token_that_cannot_be_sent_is_not_shown(server, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{SECRET}\nsecond line")

    assert "the Kaggle client failed (" in refused(params())
