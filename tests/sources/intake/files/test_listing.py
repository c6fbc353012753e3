"""Unsafe sources: each is refused with one line, or the file is skipped and listed."""

import io
import os
import struct
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from faces import dataset, encoded, noise, png, repack, write_folder, write_tar, write_zip

from ferpipe.data.archive import read_images
from ferpipe.sources.intake.files.listing import open_tree

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
    """A zip with an additional member; by default an image."""
    file = io.BytesIO(zipped())
    entry = zipfile.ZipInfo("x" * len(name.encode()))
    entry.create_system, entry.external_attr = 3, mode << 16
    with zipfile.ZipFile(file, "a") as zip_file:
        zip_file.writestr(entry, png(99) if data is None else data)
    # zipfile itself would change some names.
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


def with_size(declared, size=30_000):
    """A zip whose last image is zeros, with a declared size."""
    data = zipped({**TREE, "angry/99.png": bytes(size)})
    start = data.rindex(CENTRAL)
    return data[:start] + changed(data[start:], (CENTRAL, 24, "<I", declared))


def overlapping(count):
    """Many members that are the same bytes of the file: small, and large once unpacked."""
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
    *("C:/angry/1.png", "C:1.png", "c:\\angry\\1.png", "..\\a\\1.png", "\\angry\\1.png"),
    *("\\\\host\\angry\\1.png", "angry/..\\..\\1.png", "happy/Icon\r", "../no suffix"),
    *("a/b\0.png", "angry/1.png\0.txt", "a/b\n.png", "a/\x1b[31m.png", "a/\x7f.png"),
    *("a/\u202egnp.png", "a/\u2028.png"),
)
METHODS = {"deflate64": 9, "bzip2": 12, "xz": 14, "unknown": 99}
NOT_A_ZIP = "is not a valid zip: File is not a zip file"
UNREADABLE = "is not a valid zip: angry/00.png cannot be read: "
MANY = {f"{n}.txt": b"" for n in range(1000)}
LARGE = {"angry/99.png": bytes(10**6 + 1)}
LARGE_TOGETHER = {f"angry/9{n}.png": bytes(9 * 10**5) for n in range(3)}
TOO_MANY = "has too many files, more than download.limits.files = 1000; raise it if the source is"
TOO_LARGE = "angry/99.png has 1000001 bytes, more than download.limits.file_mb = 1; raise it"
TOO_LARGE_TOGETHER = "images are too large together, more than download.limits.total_mb = 2; raise"
RATIO = "times its size, more than download.limits.ratio = 100; raise it"
# Name -> bytes of a zip, and a part of the error.
REFUSED_ZIPS = {
    **{f"name {name!r}": (with_member(name), "is not a plain relative path") for name in NAMES},
    "member twice": (twice(), "angry/00.png is there twice"),
    "the same name in two spellings": (with_member("./angry//00.png"), "is there twice"),
    "encrypted": (changed(zipped(), (CENTRAL, 8, "<H", 1)), "angry/00.png is encrypted"),
    **{
        f"compressed by {name}": (
            changed(zipped(), (LOCAL, 8, "<H", method), (CENTRAL, 10, "<H", method)),
            f"angry/00.png is compressed by method {method}; compress it with deflate",
        )
        for name, method in METHODS.items()
    },
    "bad CRC": (changed(zipped(), (CENTRAL, 16, "<I", 1)), UNREADABLE + "Bad CRC-32"),
    "offset beyond the end": (changed(zipped(), (CENTRAL, 42, "<I", 10**6)), UNREADABLE),
    "cut at the end": (zipped()[:-30], NOT_A_ZIP),
    "cut in the central directory": (zipped()[: zipped().index(CENTRAL) + 60], NOT_A_ZIP),
    "directory too short": (changed(zipped(), (END, 12, "<I", 10**6)), "is not a valid zip: "),
    "middle missing": (zipped()[:100] + zipped()[300:], "is not a valid zip: "),
    "empty": (b"", "is empty; fetch it again"),
    "text": (b"hello", "is of no kind that is read; it should be a folder, a zip, a tar or a CSV"),
    "an image": (png(), "is a PNG image; it should be a folder"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive; it should be a folder"),
    "too many files": (zipped(TREE | MANY), TOO_MANY),
    "image too large": (zipped(TREE | LARGE), TOO_LARGE),
    "images too large together": (zipped(TREE | LARGE_TOGETHER), TOO_LARGE_TOGETHER),
    "images unpack to too much": (zipped({**TREE, "angry/99.png": bytes(10**6)}), RATIO),
    "members that overlap": (overlapping(20), RATIO),
    "declared size too small": (with_size(1000), "angry/99.png cannot be read: Bad CRC-32"),
    "declared size too large": (with_size(40_000), "read: 10000 bytes less than its declared size"),
    "archives in it": (
        zipped({"inner/faces.zip": zipped(), "inner/more.zip": zipped()}),
        "happy/face1.png; it contains the archive inner/faces.zip: unpack it",
    ),
    "a damaged zip in it": (
        zipped({"inner/faces.zip": zipped()[:100]}),
        "source.zip/inner/faces.zip is not a valid zip: ",
    ),
    "a zip in it with an unsafe name": (
        zipped({"faces.zip": with_member("../angry/1.png")}),
        "source.zip/faces.zip: the file name '../angry/1.png' is not a plain relative path",
    ),
    "a zip in it in a zip in it": (
        zipped({"a.zip": zipped({"b.zip": zipped()})}),
        "; it contains the archive a.zip/b.zip: unpack it",
    ),
}
SPECIAL = "a link or a special file"
NO_IMAGE = "not an image file"
# Path -> bytes of a zip with this file, and why it is skipped.
SKIPPED = {
    "angry/l.png": (with_member("angry/l.png", b"../x", 0o120777), SPECIAL),
    "angry/p.png": (with_member("angry/p.png", b"", 0o010644), SPECIAL),
    "angry/d.png": (with_member("angry/d.png", b"", 0o060644), SPECIAL),
    "angry/run.sh": (with_member("angry/run.sh", b"#!/bin/sh", 0o100755), NO_IMAGE),
    "angry/more.zip": (with_member("angry/more.zip", END + bytes(18)), NO_IMAGE),
    "sad": (zipped({**TREE, "sad/": b""}), "an empty folder"),
    "a.csv": (zipped({**TREE, "a.csv": bytes(10**8)}), NO_IMAGE),  # of any size
    "happy/Icon\\r": (with_member("happy/Icon\r", b""), NO_IMAGE),
    **{
        name: (with_member(name), NO_IMAGE)  # an image, but hidden
        for name in (
            *("__MACOSX/angry/._0.png", "__MACOSX/angry/0.png", "angry/.DS_Store"),
            *("angry/.h.png", ".git/angry/0.png"),
        )
    },
    **{
        name: (with_member(name, b"text"), NO_IMAGE)
        for name in ("angry/Thumbs.db", "desktop.ini", "../../etc/passwd")
    },
}
# Name -> files added to a folder, and a part of the error.
REFUSED_FOLDERS = {
    "backslash": ({"happy/a\\b.png": png()}, "is not a plain"),
    "control character": ({"happy/\r.png": png()}, "is not a plain"),
    "not UTF-8": ({os.fsdecode(b"happy/\xff.png"): png()}, "is not a plain"),
    "too large": (LARGE, TOO_LARGE),
}


@pytest.mark.parametrize(("data", "text"), REFUSED_ZIPS.values(), ids=REFUSED_ZIPS)
def test_an_unsafe_zip_is_refused_and_a_valid_one_accepted_after_it(here, refused, data, text):
    source = here / "source.zip"
    source.write_bytes(data)
    assert text in refused(source, limits=LIMITS)

    source.write_bytes(zipped())
    repack(source, here / "images.zip", limits=LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE


@pytest.mark.parametrize(
    ("path", "data", "reason"), [(path, *row) for path, row in SKIPPED.items()], ids=SKIPPED
)
def test_what_is_not_an_image_is_skipped_and_listed(here, path, data, reason):
    (here / "source.zip").write_bytes(data)
    contents = repack(here / "source.zip", here / "images.zip", limits=LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE
    assert contents.skipped == [(path, reason)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow these names")
@pytest.mark.parametrize(("files", "text"), REFUSED_FOLDERS.values(), ids=REFUSED_FOLDERS)
def test_a_folder_has_the_same_rules(here, refused, files, text):
    write_folder(here / "source", TREE | files)
    assert text in refused(here / "source", limits=LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow this name")
def test_a_name_that_is_not_utf_8_can_be_listed_as_skipped(here):
    folder = write_folder(here / "source", TREE)
    Path(os.fsdecode(os.fsencode(folder) + b"/happy/\xff.txt")).write_bytes(b"")
    contents = repack(folder, here / "images.zip", limits=LIMITS)
    assert contents.skipped == [("happy/\\udcff.txt", "not an image file")]


def test_a_source_that_is_a_special_file_is_an_error(here, refused):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(here / "faces.zip")
    assert "faces.zip is missing; it should be a folder" in refused(here / "faces.zip")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory of a Linux process")
def test_a_member_is_not_unpacked_beyond_its_declared_size(here, run_python):
    (here / "source.zip").write_bytes(with_size(1000, size=250 * 10**6))
    done = run_python("-c", UNPACK)
    assert "Bad CRC-32" in done.stderr.splitlines()[-1]
    assert int(done.stdout) < 150 * 1024, f"{done.stdout} KiB"


UNPACK = """
import atexit
from pathlib import Path
from types import SimpleNamespace
from ferpipe.sources.intake.files.listing import open_tree

def peak():  # in KiB, of this process alone
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0])

atexit.register(peak)
limits = SimpleNamespace(files=9, file_mb=1, total_mb=1, ratio=1000)
with open_tree(Path("source.zip"), limits) as tree:
    for entry in tree.values():
        entry.read()
"""


def test_a_zip_of_100_000_members_is_listed_whole(here):
    """With more than 65,535 of them a zip has the records of zip64."""
    notes = {f"notes/{n:06}.txt": b"" for n in range(100_000 - len(TREE))}
    source = write_zip(here / "source.zip", notes | TREE, zipfile.ZIP_STORED)
    assert b"PK\x06\x06" in source.read_bytes()[-200:]
    contents = repack(source, here / "images.zip")
    assert dict(read_images(here / "images.zip")) == TREE
    assert len(contents.skipped) == len(notes)


def test_a_zip64_of_small_members_is_a_zip_like_any_other(here):
    with zipfile.ZipFile(here / "source.zip", "w") as zip_file:
        for name, data in TREE.items():
            with zip_file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    repack(here / "source.zip", here / "images.zip", limits=LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE


def test_the_limits_may_be_reached(here):
    tree = {**TREE, "angry/98.png": png(98)}
    source = write_zip(here / "source.zip", tree, zipfile.ZIP_STORED)
    size = sum(map(len, tree.values()))
    limits = SimpleNamespace(files=len(tree), file_mb=1, total_mb=1, ratio=1)
    assert size < 10**6
    repack(source, here / "images.zip", limits=limits)
    assert dict(read_images(here / "images.zip")) == tree


IMAGES = {
    "a.JPG": encoded(noise(1, mode="RGB"), "JPEG"),
    "download (1).jfif": encoded(noise(2, mode="RGB"), "JPEG"),
    "b.jpe": encoded(noise(3), "JPEG"),
    "c.pgm": encoded(noise(4), "PPM"),
    "d.anything": encoded(noise(5, mode="RGB"), "PPM"),
    "plain.pnm": b"P2 2 2 255 " + b"1 2 3 4 ",
    "no suffix": png(6),
    "subject01.happy": encoded(noise(7), "GIF"),
    "old": encoded(noise(8), "BMP"),
    "scan.1": encoded(noise(9), "TIFF"),
    "web.dat": encoded(noise(10, mode="RGB"), "WEBP", lossless=True),
    "phone.jpg": encoded(noise(11, mode="RGB"), "MPO", save_all=True, append_images=[noise(12)]),
}
NO_IMAGES = {
    "notes.txt": b"BMs are not bitmaps, and P5 is no picture",
    "P1": b"P1 12 13 is the first person",
    "empty": b"",
    "table.csv": b"P5,1,2",
    "film.mp4": b"\0\0\0\x20ftypisom" + bytes(20),
    "sound": b"RIFF\x24\0\0\0WAVEfmt ",
    "program": b"MZ" + bytes(100),
}


@pytest.mark.parametrize("write", [write_folder, write_zip, write_tar])
def test_the_content_says_what_is_an_image(here, write):
    images = {f"angry/{name}": data for name, data in IMAGES.items()} | {"happy/1": png(99)}
    others = {f"angry/{name}": data for name, data in NO_IMAGES.items()}
    source = write(here / "source", images | others)
    contents = repack(source, here / "images.zip", limits=LIMITS)
    assert dict(contents.skipped) == dict.fromkeys(others, NO_IMAGE)
    assert dict(read_images(here / "images.zip")) == images


@pytest.mark.parametrize("write", [write_folder, write_zip, write_tar])
@pytest.mark.parametrize("name", ["inner/faces.zip", "faces.tar", "faces.tgz"])
def test_the_only_archive_in_a_source_is_read(here, write, name):
    if name.endswith("zip"):
        inner = write_zip(here / "inner", TREE)
    else:
        inner = write_tar(here / "inner", TREE, "gz" if name.endswith("tgz") else "")
    others = {"README.txt": b"hello", "__MACOSX/._faces.zip": b"", ".hidden.zip": b""}
    source = write(here / "source", {name: inner.read_bytes(), **others})
    contents = repack(source, here / "images.zip", limits=LIMITS)
    assert dict(read_images(here / "images.zip")) == TREE
    assert dict(contents.skipped) == dict.fromkeys(others, NO_IMAGE)
    left = [path.name for path in (here / ".ferpipe").iterdir()]
    assert left == []


def test_an_archive_beside_images_or_a_table_is_not_read(here):
    for others in (TREE, {"fer.csv": b"emotion,pixels"}):
        source = write_zip(here / "source.zip", {"inner.zip": zipped(), **others})
        with open_tree(source, LIMITS) as tree:
            assert {str(path) for path in tree} == {"inner.zip", *others}
