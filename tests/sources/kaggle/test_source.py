"""The real Kaggle client against `KaggleServer`, over TLS and a redirect; nothing is patched."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faces import write_folder
from kaggle_faces import FACES, SECRET, TARGET, ZIP, face, fetch, params, refused, zip_of
from kaggle_server import BLOB, COMPETITION, DOWNLOAD, INTROSPECT, Reply

from ferpipe.data import archive
from ferpipe.sources.kaggle import source


def test_kaggle_zip_local_zip_and_local_folder_give_the_same_archive(server):
    contents = fetch()
    Path("local.zip").write_bytes(ZIP)
    write_folder(Path("folder"), FACES)
    for path in ("local.zip", "folder"):
        local = params(path=path).model_copy(update={"source": "local"})
        found = fetch(local, target=Path("local", "images.zip"))
        assert found.images.equals(contents.images)
        assert (found.skipped, found.notes) == (contents.skipped, contents.notes)
        assert Path("local", "images.zip").read_bytes() == TARGET.read_bytes()
    assert dict(archive.read_images(TARGET)) == FACES
    assert contents.class_counts == {"anger": 3, "joy": 3}


def test_the_client_is_in_another_process_and_its_token_is_not_sent_to_the_storage(server):
    fetch()
    assert "kaggle" not in sys.modules
    assert [request.path.split("?")[0] for request in server.requests] == [
        INTROSPECT,
        DOWNLOAD,
        BLOB,
    ]
    assert server.asked(DOWNLOAD)[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert "Authorization" not in server.asked(BLOB)[0].headers


def test_the_version_is_requested(server):
    server.datasets = {"someone/faces/7": ZIP}
    fetch(params(version=7))
    assert server.asked(DOWNLOAD)[0].json == {
        "ownerSlug": "someone",
        "datasetSlug": "faces",
        "datasetVersionNumber": 7,
    }


@pytest.mark.parametrize("name", ["c/faces", "https://www.kaggle.com/competitions/faces/data"])
def test_a_competition_is_requested_by_its_name(server, name):
    server.datasets = {"competitions/faces": ZIP}
    contents = fetch(params(kaggle={"dataset": name, "version": None}))
    assert dict(archive.read_images(TARGET)) == FACES
    assert len(contents.images) == 6
    assert server.asked(COMPETITION)[0].json == {"competitionName": "faces"}
    assert server.asked(COMPETITION)[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert server.asked(DOWNLOAD) == []


def test_a_competition_whose_rules_are_not_accepted_is_an_error_that_names_their_page(server):
    server.answer(COMPETITION, Reply(status=403))
    section = params(kaggle={"dataset": "c/faces", "version": None})
    assert refused(section) == (
        "Kaggle does not let this account download competitions/faces (403); join it and accept "
        "its rules at https://www.kaggle.com/competitions/faces/rules in a browser"
    )
    assert "https://www.kaggle.com/competitions/faces" in refused(section)  # 404


OTHER = {**FACES, "anger/S000.png": face(99)}


def test_other_images_than_pinned_are_refused_and_not_kept(server, digest):
    server.datasets["someone/faces"] = zip_of(OTHER)
    assert f"not those of download.expect.digest ({digest})" in refused(params(digest))
    assert not Path(".ferpipe/downloads").exists()
    server.datasets["someone/faces"] = ZIP
    assert fetch(params(digest)).digest == digest


# What needs other params, not another download: name -> files, the keys of `download` that refuse
# them, and those that accept them.
NEEDS_OTHER_PARAMS = {
    "layout": (
        {**FACES, "other/anger/S000.png": face(99)},
        {},
        {"root": "."},
    ),
    "class counts": (
        FACES,
        {"expect": {"class_counts": {"anger": 3, "joy": 4}, "digest": None}},
        {"expect": {"class_counts": {"anger": 3, "joy": 3}, "digest": None}},
    ),
    "refused images": ({**FACES, "joy/bad.png": b"?"}, {}, {"max_bad_fraction": 0.5}),
    "conflicts": (
        {**FACES, "joy/S009.png": face(99), "anger/S009.png": face(99)},
        {},
        {"conflicts": "drop"},
    ),
}


@pytest.mark.parametrize("version", [None, 3])
@pytest.mark.parametrize(
    ("tree", "wrong", "right"), NEEDS_OTHER_PARAMS.values(), ids=NEEDS_OTHER_PARAMS
)
def test_a_download_whose_images_are_refused_is_kept_for_other_params(
    server, capfd, version, tree, wrong, right
):
    zipped = zip_of(tree)
    server.datasets = {"someone/faces": zipped, "someone/faces/3": zipped}
    kept = source.KEPT / f"someone--faces--{'v3' if version else 'newest'}.zip"
    message = refused(params(version=version, **wrong))
    assert message.endswith(f"; the download is kept as {kept}")
    assert kept.read_bytes() == zipped
    server.close()
    assert str(kept) in refused(params(version=version, **wrong))
    capfd.readouterr()
    assert len(fetch(params(version=version, **right)).images) == 6
    note = f"download: used the kept download {kept}; delete it to download again\n"
    assert capfd.readouterr().err == note


def test_a_pinned_download_whose_images_are_refused_is_kept(server, digest):
    server.datasets["someone/faces"] = zip_of({**FACES, "joy/bad.png": b"?"})
    refused(params(digest))
    server.close()
    assert fetch(params(digest, max_bad_fraction=0.5)).digest == digest


def test_a_pinned_download_is_not_fetched_again_because_of_other_params(server, digest):
    fetch(params(digest), target=Path("first.zip"))
    server.close()
    message = refused(params(digest, root="nowhere"))
    assert f"delete {source.KEPT / digest}.zip to download again" in message
    assert fetch(params(digest), target=Path("again.zip")).digest == digest


def test_a_version_is_not_kept_for_another(server):
    server.datasets["someone/faces/3"] = zip_of({"train.csv": b"emotion,pixels"})
    server.datasets["someone/faces/4"] = ZIP
    refused(params(version=3))
    assert len(fetch(params(version=4)).images) == 6


@pytest.mark.parametrize("damage", ["cut", "flipped bit"])
def test_a_kept_download_that_is_damaged_since_is_fetched_again(server, capfd, damage):
    server.datasets["someone/faces"] = bad = zip_of({**FACES, "joy/bad.png": b"?"})
    refused()
    server.datasets["someone/faces"] = ZIP
    kept = source.KEPT / "someone--faces--newest.zip"
    flipped = bytearray(bad)
    flipped[bad.index(b"S000.png") + 40] ^= 4
    kept.write_bytes(bad[:-40] if damage == "cut" else flipped)
    capfd.readouterr()
    assert len(fetch().images) == 6
    line, *_ = capfd.readouterr().err.splitlines()
    assert str(kept) in line and line.endswith("; downloading again")


def test_a_download_without_images_is_refused_by_its_name_at_kaggle(server):
    server.datasets["someone/faces"] = zip_of({"train.csv": b"emotion,pixels"})
    assert refused().startswith("Kaggle's faces.zip holds no images; it should have one folder")


def test_a_changed_file_with_the_old_date_is_never_mixed_with_the_old_file(server):
    first = fetch()
    server.answer(BLOB, Reply(send=len(ZIP) // 2))  # truncated, and then it changes
    server.datasets["someone/faces"] = zip_of(OTHER)
    second = fetch()
    assert second.digest != first.digest
    assert dict(archive.read_images(TARGET)) == OTHER
    assert not any("Range" in request.headers for request in server.requests)


def test_a_pinned_download_is_kept_and_needs_neither_network_nor_token(server, digest, monkeypatch):
    server.datasets["someone/faces"] = zip_of({"README.txt": b"hello", **FACES})
    first = fetch(params(digest))
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    server.close()
    second = fetch(params(digest), target=Path("again.zip"))
    assert (second.digest, second.notes) == (first.digest, first.notes)
    assert second.skipped == [("README.txt", "not an image file")]
    assert Path("again.zip").read_bytes() == TARGET.read_bytes()
    assert list(source.KEPT.iterdir()) == [source.KEPT / f"{digest}.zip"]


@pytest.mark.parametrize("damage", ["flipped bit", "other images", "no zip"])
def test_a_kept_download_that_is_damaged_is_fetched_again(server, digest, capfd, damage):
    kept = Path(".ferpipe/downloads", f"{digest}.zip")
    kept.parent.mkdir(parents=True)
    flipped = bytearray(ZIP)
    flipped[ZIP.index(b"S000.png") + 40] ^= 4
    contents = {"flipped bit": flipped, "other images": zip_of(OTHER), "no zip": b"x"}
    kept.write_bytes(contents[damage])
    assert fetch(params(digest)).digest == digest
    assert kept.read_bytes() == ZIP
    (line,) = capfd.readouterr().err.splitlines()
    assert str(kept) in line and line.endswith("; downloading again")


def test_without_a_pin_nothing_is_kept(server, capfd):
    fetch()
    fetch()
    assert len(server.asked(DOWNLOAD)) == 2
    assert list(Path(".ferpipe").iterdir()) == []
    output = capfd.readouterr()
    assert output.out == ""
    note = "download: the download is not kept, because download.expect.digest is null"
    assert output.err.splitlines() == [note, note]


FETCH = """
import signal
# As at a terminal: a background process of a shell ignores SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from ferpipe.core.errors import exits_cleanly
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.stages.download import download

params = Download.model_validate_json(sys.argv[1])
run = Run(workers=1, memory_mb=1000, download_deadline=60, checkpoint_seconds=0)
exits_cleanly("download")(download)(params, run, Path(sys.argv[2]))
"""


def fetch_elsewhere(**options):
    """Fetch in another process, which can be interrupted or have a terminal."""
    arguments = [params().model_dump_json(), str(TARGET)]
    return subprocess.Popen([sys.executable, "-c", FETCH, *arguments], **options)


def wait_for_request(server, path):
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_bytes_and_rate_and_no_output_of_the_client(server):
    import termios  # not on Windows

    try:
        reader, terminal = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminals")
    termios.tcsetwinsize(terminal, (24, 100))
    with fetch_elsewhere(stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux ends a closed terminal
            while data := os.read(reader, 4096):
                shown += data
    os.close(reader)

    assert process.returncode == 0
    lines = [line.split("\r")[-1] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert re.match(r"100%.*\d(\.\d+)?k/\d(\.\d+)?k.*B/s", lines[0]), lines
    assert [line for line in lines[1:] if line and "images" not in line] == [
        "download: the download is not kept, because download.expect.digest is null"
    ]


MOMENTS = {
    "introspecting": (INTROSPECT, Reply(hang=True)),
    "asking": (DOWNLOAD, Reply(hang=True)),
    "waiting for the first byte": (BLOB, Reply(hang=True)),
    "receiving": (BLOB, Reply(hang=True, send=len(ZIP) // 2)),
}
KILLED = [
    *(("SIGKILL", moment) for moment in MOMENTS),
    *((name, "receiving") for name in ("SIGINT", "SIGTERM")),
]


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(("name", "moment"), KILLED)
def test_a_killed_run_does_not_disturb_the_next_one(server, digest, name, moment):
    path, reply = MOMENTS[moment]
    server.answer(path, reply)
    with fetch_elsewhere(stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_for_request(server, path)
        process.send_signal(getattr(signal, name))
    assert server.hung_up.wait(30), "the client's process still runs"
    assert not TARGET.exists()
    assert fetch(params(digest)).digest == digest
    assert [path.name for path in Path(".ferpipe").iterdir()] == ["downloads"]


KILL_TIMES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)  # from before it begins to after it has ended


def test_a_run_killed_at_any_time_leaves_the_whole_archive_or_none(server, digest):
    for seconds in KILL_TIMES:
        with fetch_elsewhere(stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.kill()
        if TARGET.exists():
            assert dict(archive.read_images(TARGET)) == FACES
            TARGET.unlink()
    assert fetch(params(digest)).digest == digest
    assert [path.name for path in Path(".ferpipe").iterdir()] == ["downloads"]
