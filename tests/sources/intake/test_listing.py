"""Sources that nobody should trust: each is refused in one line, or left out and counted."""

import io
import os
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from faces import dataset, png, write_folder, write_zip

from ferpipe.core.errors import PipelineError
from ferpipe.data.archive import read_images
from ferpipe.data.records import read_schema, read_split
from ferpipe.sources.intake.repacking import repack

TREE = dataset(per_class=3)
LIMITS = SimpleNamespace(files=1000, file_mb=1, total_mb=2, ratio=100)
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def zipped(tree=TREE):
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zip_file:
        for name, data in tree.items():
            zip_file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def with_member(name, data=None, mode=0):
    """A zip with one member more, of which it need not be said what it holds."""
    file = io.BytesIO(zipped())
    entry = zipfile.ZipInfo("x" * len(name.encode()))
    entry.create_system, entry.external_attr = 3, mode << 16
    with zipfile.ZipFile(file, "a") as zip_file:
        zip_file.writestr(entry, png(99) if data is None else data)
    # zipfile itself would mend some names.
    data = file.getvalue().replace(b"x" * len(name.encode()), name.encode())
    return changed(data, (LOCAL, 6, "<H", 0x800), (CENTRAL, 8, "<H", 0x800))  # names are UTF-8


def changed(data, *changes):
    """Bytes with some 16-bit or 32-bit numbers changed in every record of a signature."""
    data = bytearray(data)
    for signature, offset, form, value in changes:
        start = data.find(signature)
        while start >= 0:
            struct.pack_into(form, data, start + offset, value)
            start = data.find(signature, start + 4)
    return bytes(data)


def twice():
    file = io.BytesIO(zipped())
    with zipfile.ZipFile(file, "a") as zip_file:
        zip_file.writestr("angry/0x.png", png(9))
    return file.getvalue().replace(b"angry/0x.png", b"angry/00.png")


def swollen(told, size=30_000):
    """A zip whose last image is zeros, and says that it has `told` bytes."""
    data = zipped({**TREE, "angry/99.png": bytes(size)})
    start = data.rindex(CENTRAL)
    return data[:start] + changed(data[start:], (CENTRAL, 24, "<I", told))


def overlapping(count):
    """Many members that all are the same bytes of the file: small, and large once unpacked."""
    data = zipped({"a/0.png": bytes(10**5)})
    start, end = data.index(CENTRAL), data.index(END)
    entry = data[start:end]
    names = [b"%c/%c.png" % (97 + n % 2, 65 + n) for n in range(count)]
    entries = b"".join(entry.replace(b"a/0.png", name) for name in names)
    tail = changed(
        data[end:], (END, 8, "<H", count), (END, 10, "<H", count), (END, 12, "<I", len(entries))
    )
    return data[:start] + entries + tail


NAMES = (
    *("../angry/1.png", "a/../../1.png", "/angry/1.png", "//host/angry/1.png"),
    *("C:/angry/1.png", "C:1.png", "c:\\angry\\1.png", "angry\\1.png", "..\\a\\1.png"),
    *("a/b\0.png", "angry/1.png\0.txt", "a/b\n.png", "a/\x1b[31m.png", "a/\x7f.png"),
    *("a/\u202egnp.png", "a/\u2028.png"),
)
# Name -> bytes of a zip, and a piece of what is said.
REFUSED_ZIPS = {
    **{f"name {name!r}": (with_member(name), "is not a plain relative path") for name in NAMES},
    "member twice": (twice(), "angry/00.png is there twice"),
    "the same name in two spellings": (with_member("./angry//00.png"), "is there twice"),
    "encrypted": (
        changed(zipped(), (LOCAL, 6, "<H", 1), (CENTRAL, 8, "<H", 1)),
        "angry/00.png is encrypted",
    ),
    **{
        f"packed by {name}": (
            changed(zipped(), (LOCAL, 8, "<H", method), (CENTRAL, 10, "<H", method)),
            f"angry/00.png is packed by method {method}; pack it anew with deflate",
        )
        for name, method in (("deflate64", 9), ("bzip2", 12), ("xz", 14), ("nobody knows what", 99))
    },
    "bad CRC": (
        changed(zipped(), (CENTRAL, 16, "<I", 1)),
        "is not a sound zip: angry/00.png cannot be read: Bad CRC-32",
    ),
    "offset beyond the end": (
        changed(zipped(), (CENTRAL, 42, "<I", 10**6)),
        "is not a sound zip: angry/00.png cannot be read: ",
    ),
    "cut at the end": (zipped()[:-30], "is not a sound zip: File is not a zip file"),
    "cut in the central directory": (
        zipped()[: zipped().index(CENTRAL) + 60],
        "is not a sound zip: File is not a zip file",
    ),
    "central directory shorter than told": (
        changed(zipped(), (END, 12, "<I", 10**6)),
        "is not a sound zip: ",
    ),
    "middle missing": (zipped()[:100] + zipped()[300:], "is not a sound zip: "),
    "empty": (b"", "is not a sound zip: File is not a zip file"),
    "text": (b"hello", "is not a sound zip: File is not a zip file"),
    "an image": (png(), "is not a sound zip: File is not a zip file"),
    "too many files": (
        zipped({**TREE, **{f"{n}.txt": b"" for n in range(1000)}}),
        "holds more than download.limits.files = 1000 files; raise it if that is right",
    ),
    "image too large": (
        zipped({**TREE, "angry/99.png": bytes(10**6 + 1)}),
        "angry/99.png has 1000001 bytes, more than download.limits.file_mb = 1; raise it",
    ),
    "images too large together": (
        zipped({**TREE, **{f"angry/9{n}.png": bytes(9 * 10**5) for n in range(3)}}),
        "its images have more than download.limits.total_mb = 2; raise it",
    ),
    "images swell too much": (
        zipped({**TREE, "angry/99.png": bytes(10**6)}),
        "times its size, more than download.limits.ratio = 100; raise it",
    ),
    "members that overlap": (overlapping(20), "more than download.limits.ratio = 100; raise it"),
    "size told too small": (
        swollen(1000),
        "is not a sound zip: angry/99.png cannot be read: Bad CRC-32",
    ),
    "size told too large": (
        swollen(40_000),
        "is not a sound zip: angry/99.png cannot be read: 30000 bytes instead of 40000",
    ),
    "no images": (zipped({"README.md": b"hello"}), "holds no images; it should have one folder"),
    "no files": (zipped({}), "holds no images; it should have one folder a class"),
    "nested zip": (
        zipped({"inner/faces.zip": zipped()}),
        "holds no images; it should have one folder a class, such as happy/face1.png; it holds the "
        "zip inner/faces.zip, which may: unpack that",
    ),
    "one class": (zipped(dataset(classes=("angry",))), "at least two classes with images, found"),
    "images at the top": (with_member("face.png"), "face.png lies in no class folder"),
    "several roots": (
        zipped({**TREE, **{f"more/{path}": data for path, data in dataset().items()}}),
        "has class folders in several places that differ: ., more; set download.root",
    ),
    "case": (with_member("Angry/9.png"), "two classes are named Angry and angry; rename"),
    "Unicode": (
        zipped({**TREE, "e\u0301/1.png": png(1), "\u00e9/1.png": png(2)}),
        "two files are both named \u00e9/1.png; rename one of them",
    ),
}
# Name -> bytes of a zip, and what is left out of it and counted.
LEFT_OUT = {
    "link": (
        with_member("angry/l.png", b"../x", 0o120777),
        "angry/l.png",
        "a link or a special file",
    ),
    "named pipe": (with_member("angry/p.png", b"", 0o010644), "angry/p.png", "a link or a special"),
    "device": (
        with_member("angry/d.png", b"", 0o060644),
        "angry/d.png",
        "a link or a special file",
    ),
    "nested zip": (with_member("angry/more.zip", zipped()), "angry/more.zip", "not an image file"),
    "empty class": (zipped({**TREE, "sad/": b""}), "sad", "an empty folder"),
    "__MACOSX": (with_member("__MACOSX/angry/._0.png"), "__MACOSX/angry/._0.png", "not an image"),
    ".DS_Store": (with_member("angry/.DS_Store"), "angry/.DS_Store", "not an image file"),
    "Thumbs.db": (with_member("angry/Thumbs.db"), "angry/Thumbs.db", "not an image file"),
    "desktop.ini": (with_member("desktop.ini"), "desktop.ini", "not an image file"),
    "hidden image": (with_member("angry/.h.png"), "angry/.h.png", "not an image file"),
    "program": (
        with_member("angry/run.sh", b"#!/bin/sh", 0o100755),
        "angry/run.sh",
        "not an image",
    ),
    "no image of a wild name": (
        with_member("../../etc/passwd"),
        "../../etc/passwd",
        "not an image",
    ),
    "no image, and huge": (zipped({**TREE, "a.csv": bytes(10**8)}), "a.csv", "not an image file"),
}
# Name -> what is done to a folder, and a piece of what is said.
REFUSED_FOLDERS = {
    "backslash": (lambda folder: write_folder(folder, {"happy/a\\b.png": png()}), "is not a plain"),
    "control character": (
        lambda folder: write_folder(folder, {"happy/\r.png": png()}),
        "not a plain",
    ),
    "not UTF-8": (
        lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/happy/\xff.png")).write_bytes(
            png()
        ),
        "is not a plain relative path",
    ),
    "case": (
        lambda folder: write_folder(folder, {"Happy/1.png": png()}),
        "two classes are named Happy and happy",
    ),
    "too large": (
        lambda folder: write_folder(folder, {"happy/9.png": bytes(10**6 + 1)}),
        "more than download.limits.file_mb = 1",
    ),
    "too large together": (
        lambda folder: write_folder(
            folder, {f"happy/9{n}.png": bytes(9 * 10**5) for n in range(3)}
        ),
        "more than download.limits.total_mb = 2",
    ),
    "too many": (
        lambda folder: write_folder(folder, {f"{n}.txt": b"" for n in range(1000)}),
        "more than download.limits.files = 1000 files",
    ),
}


def left_in(folder):
    return sorted(path for path in folder.rglob("*") if ".ferpipe" not in path.parts)


def refused(source, target):
    """The error's message, once it is sure that nothing else changed on disk."""
    target.write_bytes(b"the old archive")
    before = left_in(target.parent)
    with pytest.raises(PipelineError) as error:
        repack(source, target, None, 0.0, LIMITS)
    assert target.read_bytes() == b"the old archive"
    assert left_in(target.parent) == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("data", "text"), REFUSED_ZIPS.values(), ids=REFUSED_ZIPS)
def test_a_zip_that_cannot_be_trusted_is_an_error_and_a_sound_one_is_taken_after_it(
    here, data, text
):
    source = here / "source.zip"
    source.write_bytes(data)
    assert text in refused(source, here / "images.zip")

    source.write_bytes(zipped())
    repack(source, here / "images.zip", None, 0.0, LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE


@pytest.mark.parametrize(("data", "path", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_no_image_is_left_out_and_counted(here, data, path, reason):
    source = here / "source.zip"
    source.write_bytes(data)
    contents = repack(source, here / "images.zip", None, 0.0, LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE
    ((left_out, why),) = contents.skipped
    assert left_out == path
    assert why.startswith(reason)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow these names")
@pytest.mark.parametrize(("spoil", "text"), REFUSED_FOLDERS.values(), ids=REFUSED_FOLDERS)
def test_a_folder_is_held_to_the_same_rules(here, spoil, text):
    spoil(write_folder(here / "source", TREE))
    assert text in refused(here / "source", here / "images.zip")


def test_what_a_folder_only_points_to_is_left_out_and_counted(here):
    folder = write_folder(here / "source", TREE)
    write_folder(here / "elsewhere", {"1.png": png(9)})
    try:
        (folder / "linked").symlink_to(here / "elsewhere", target_is_directory=True)
        (folder / "angry/linked.png").symlink_to(here / "elsewhere/1.png")
        (folder / "angry/broken.png").symlink_to(here / "nowhere.png")
        (folder / "angry/loop").symlink_to(folder)
        os.mkfifo(folder / "angry/pipe.png")
    except (OSError, AttributeError):
        pytest.skip("this system has no links or no named pipes")
    (folder / "sad").mkdir()

    contents = repack(folder, here / "images.zip", None, 0.0, LIMITS)

    assert dict(read_images(here / "images.zip")) == TREE
    assert contents.skipped == [
        *(
            (path, "a link or a special file")
            for path in ("angry/broken.png", "angry/linked.png", "angry/loop", "angry/pipe.png")
        ),
        ("linked", "a link or a special file"),
        ("sad", "an empty folder"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow this name")
def test_a_name_that_is_no_utf_8_can_be_listed_as_left_out(here):
    folder = write_folder(here / "source", TREE)
    Path(os.fsdecode(os.fsencode(folder) + b"/happy/\xff.txt")).write_bytes(b"")
    contents = repack(folder, here / "images.zip", None, 0.0, LIMITS)
    assert contents.skipped == [("happy/\\udcff.txt", "not an image file")]


def test_a_source_that_is_a_special_file_is_an_error(here):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(here / "faces.zip")
    assert "faces.zip is missing; it should be a zip or a folder" in refused(
        here / "faces.zip", here / "images.zip"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory it took")
def test_a_member_is_not_unpacked_beyond_the_size_that_it_tells(here, run_python):
    """In a process of its own: what it took at most is what the system says of it."""
    (here / "source.zip").write_bytes(swollen(1000, size=250 * 10**6))
    done = run_python("-c", UNPACK)
    assert "Bad CRC-32" in done.stderr.splitlines()[-1]
    assert int(done.stdout) < 150 * 1024, f"{done.stdout} KiB"


UNPACK = """
import atexit
from pathlib import Path
from ferpipe.sources.intake.repacking import repack

def peak():  # in KiB, of this process alone
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0])

atexit.register(peak)
repack(Path("source.zip"), Path("images.zip"), None, 0.0)
"""


def test_a_zip_of_100_000_members_is_listed_whole(here):
    """With more than 65,535 of them a zip has the records of zip64."""
    notes = {f"notes/{n:06}.txt": b"" for n in range(100_000 - len(TREE))}
    source = write_zip(here / "source.zip", notes | TREE, zipfile.ZIP_STORED)
    assert b"PK\x06\x06" in source.read_bytes()[-200:]
    contents = repack(source, here / "images.zip", None, 0.0)
    assert dict(read_images(here / "images.zip")) == TREE
    assert len(contents.skipped) == len(notes)


def test_a_zip64_of_small_members_is_a_zip_like_any_other(here):
    with zipfile.ZipFile(here / "source.zip", "w") as zip_file:
        for name, data in TREE.items():
            with zip_file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    repack(here / "source.zip", here / "images.zip", None, 0.0, LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE


def test_the_limits_may_be_reached(here):
    tree = {**TREE, "angry/98.png": png(98)}
    source = write_zip(here / "source.zip", tree, zipfile.ZIP_STORED)
    size = sum(map(len, tree.values()))
    limits = SimpleNamespace(files=len(tree), file_mb=1, total_mb=1, ratio=1)
    assert size < 10**6
    repack(source, here / "images.zip", None, 0.0, limits)
    assert dict(read_images(here / "images.zip")) == tree
    shutil.rmtree(here / ".ferpipe", ignore_errors=True)


def test_20_classes_with_long_and_foreign_names_reach_the_records(project, write_params, run_stage):
    letters = "äßçđéëğıłñőřśţůžяだ笑😀"
    classes = sorted(letter * 60 for letter in letters)
    write_folder(project / "data/local", dataset(per_class=5, classes=classes))
    write_params({"download.source": "local", "split.group_by": "none"})
    for stage in ("download", "split", "preprocess"):
        done = run_stage(stage)
        assert done.returncode == 0, done.stderr
    schema = read_schema(project / "data/records")
    assert schema.classes == classes
    train = read_split(project / "data/records", schema, "train")
    assert all(
        path.split("/")[0] == classes[label]
        for path, label in zip(train.paths, train.labels, strict=True)
    )
