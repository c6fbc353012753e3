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
from kaggle_faces import FACES, SECRET, TARGET, ZIP, face, params, refused, run, zip_of
from kaggle_server import BLOB, DOWNLOAD, INTROSPECT, Reply

from ferpipe.data import archive
from ferpipe.sources.kaggle import source
from ferpipe.sources.local import source as local


def test_kaggle_zip_local_zip_and_local_folder_give_the_same_archive(server):
    contents = source.fetch(params(), run(), TARGET)

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
    source.fetch(params(), run(), TARGET)

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

    source.fetch(params(version=7), run(), TARGET)

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

    assert source.fetch(params(digest), run(), TARGET).digest == digest


def test_trees_that_differ_must_be_chosen_from(server, digest):
    trees = {f"{root}/{name}": data for root in ("one", "two") for name, data in FACES.items()}
    trees["two/anger/S000.png"] = face(99)
    server.datasets["someone/faces"] = zip_of(trees)

    message = refused(params())
    assert message.startswith("Kaggle's faces.zip has class folders in several places that differ")
    assert "set download.root to one of them" in message
    assert source.fetch(params(digest, root="one"), run(), TARGET).digest == digest


# What may come in place of the faces: a sound zip, but another.
OTHERS = {
    "one pixel": {**FACES, "anger/S000.png": face(99)},
    "an image more": {**FACES, "anger/S999.png": face(99)},
    "an image less": dict(list(FACES.items())[1:]),
    "another class": {**FACES, "fear/S000.png": face(99)},
    "another data set": {f"{label}/{n}.png": face(n) for label in ("cat", "dog") for n in range(3)},
    "a csv": {"train.csv": b"emotion,pixels"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_sound_zip_of_other_files_is_not_taken_where_the_content_is_pinned(server, digest, other):
    server.datasets["someone/faces"] = zip_of(other)

    refused(params(digest))

    assert not Path(".ferpipe/downloads").exists()
    server.datasets["someone/faces"] = ZIP
    assert source.fetch(params(digest), run(), TARGET).digest == digest


@pytest.mark.parametrize("name", ["an image more", "an image less", "another class"])
def test_where_only_the_class_counts_are_known_they_tell(server, name):
    server.datasets["someone/faces"] = zip_of(OTHERS[name])

    assert "not those of download.expect.class_counts" in refused(
        params(class_counts={"anger": 3, "joy": 3})
    )


UNPINNED = {
    "no images": (
        OTHERS["a csv"],
        "Kaggle's faces.zip holds no images; it should have one folder a class",
    ),
    "no folders": ({"a.png": face(1), "b.png": face(2)}, "lies in no class folder"),
    "one folder": ({"faces/a.png": face(1), "faces/b.png": face(2)}, "at least two classes"),
    "a damaged image": ({**FACES, "joy/S999.png": b"no image"}, "1 of 7 images cannot be used"),
}


@pytest.mark.parametrize(("tree", "text"), UNPINNED.values(), ids=UNPINNED)
def test_where_nothing_is_pinned_the_structure_tells(server, tree, text):
    server.datasets["someone/faces"] = zip_of(tree)

    assert text in refused(params())


def test_a_changed_file_with_the_old_date_is_fetched_whole_and_never_mixed(server):
    first = source.fetch(params(), run(), TARGET)
    server.answer(BLOB, Reply(send=len(ZIP) // 2))  # cut, and then it changes
    changed = OTHERS["one pixel"]
    server.datasets["someone/faces"] = zip_of(changed)

    second = source.fetch(params(), run(), TARGET)

    assert second.digest != first.digest
    assert dict(archive.read_images(TARGET)) == changed
    assert not any("Range" in request.headers for request in server.requests)


def test_other_images_than_pinned_are_not_taken(server, digest):
    server.datasets["someone/faces"] = zip_of({**FACES, "anger/S000.png": face(99)})

    message = refused(params(digest))

    assert f"not those of download.expect.digest ({digest})" in message
    assert not Path(".ferpipe/downloads").exists()


def test_a_pinned_download_is_kept_and_needs_neither_network_nor_token(server, digest, monkeypatch):
    server.datasets["someone/faces"] = zip_of({"README.txt": b"hello", **FACES})
    first = source.fetch(params(digest), run(), TARGET)
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    server.close()

    second = source.fetch(params(digest), run(), Path("again.zip"))

    assert second == first
    assert second.skipped == [("README.txt", "not an image file")]
    assert Path("again.zip").read_bytes() == TARGET.read_bytes()
    assert list(source.KEPT.iterdir()) == [source.KEPT / f"{digest}.zip"]


@pytest.mark.parametrize("damage", ["flipped bit", "other images", "no zip"])
def test_a_kept_download_that_is_damaged_is_fetched_again(server, digest, capfd, damage):
    kept = Path(".ferpipe/downloads", f"{digest}.zip")
    kept.parent.mkdir(parents=True)
    flipped = bytearray(ZIP)
    flipped[ZIP.index(b"S000.png") + 40] ^= 4
    other = zip_of({**FACES, "anger/S000.png": face(99)})
    kept.write_bytes({"flipped bit": flipped, "other images": other, "no zip": b"x"}[damage])

    assert source.fetch(params(digest), run(), TARGET).digest == digest

    assert kept.read_bytes() == ZIP
    (line,) = capfd.readouterr().err.splitlines()
    assert str(kept) in line and line.endswith("; downloading again")


def test_without_a_pin_nothing_is_kept(server, capfd):
    source.fetch(params(), run(), TARGET)
    source.fetch(params(), run(), TARGET)

    assert len(server.asked(DOWNLOAD)) == 2
    assert list(Path(".ferpipe").iterdir()) == []
    output = capfd.readouterr()
    assert output.out == ""
    note = "download: not kept for the next time, because download.expect.digest is null"
    assert output.err.splitlines() == [note, note]


FETCH = """
import signal
# As at a terminal: what runs in the background of a shell inherits a SIGINT that is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
from pathlib import Path
from ferpipe.core.errors import exits_cleanly
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.kaggle import source

params = Download.model_validate_json(sys.argv[1])
run = Run.model_validate_json(sys.argv[2])
exits_cleanly("download")(source.fetch)(params, run, Path(sys.argv[3]))
"""


def fetch_elsewhere(**options):
    """Fetch in a process of its own, which can be interrupted or have a terminal."""
    arguments = [params().model_dump_json(), run().model_dump_json(), str(TARGET)]
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
def test_a_run_that_was_killed_leaves_nothing_that_the_next_one_minds(server, digest, name, moment):
    path, reply = MOMENTS[moment]
    server.answer(path, reply)
    with fetch_elsewhere(stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_for_request(server, path)
        process.send_signal(getattr(signal, name))
    assert server.hung_up.wait(30), "the client's process still runs"
    assert not TARGET.exists()

    assert source.fetch(params(digest), run(), TARGET).digest == digest

    assert [path.name for path in Path(".ferpipe").iterdir()] == ["downloads"]


KILL_TIMES = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)  # from before it begins to after it has ended


def test_killed_at_any_time_a_run_leaves_all_of_the_archive_or_nothing(server, digest):
    for seconds in KILL_TIMES:
        with fetch_elsewhere(stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            process.kill()
        if TARGET.exists():
            assert dict(archive.read_images(TARGET)) == FACES
            TARGET.unlink()
    assert source.fetch(params(digest), run(), TARGET).digest == digest
    assert [path.name for path in Path(".ferpipe").iterdir()] == ["downloads"]
