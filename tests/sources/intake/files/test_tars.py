"""Tars, compressed or not, as sources: by content, under the limits, refused if damaged."""

import gzip
import io
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from faces import dataset, png, repack, write_folder, write_tar, write_zip

from ferpipe.core.errors import PipelineError
from ferpipe.data.archive import read_images
from ferpipe.sources.intake.files.entry import EMPTY_FOLDER, LINK_OR_SPECIAL
from ferpipe.sources.intake.files.listing import open_tree

TREE = dataset(per_class=3)
LIMITS = SimpleNamespace(files=10, file_mb=1, total_mb=2, ratio=100)
COMPRESSIONS = ["", "gz", "bz2", "xz"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_tar_gives_the_archive_of_a_folder_whatever_its_name(here, compression):
    for name in ("faces.tar", "faces.zip", "faces"):
        source = write_tar(here / name, {f"./a/{p}": d for p, d in TREE.items()}, compression)
        repack(source, here / "images.zip")
        repack(write_folder(here / "folder", TREE), here / "folder.zip")
        assert (here / "images.zip").read_bytes() == (here / "folder.zip").read_bytes()
    assert not list((here / ".ferpipe").glob(".unpacked*"))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_and_folders_are_read_in_every_format(here, form):
    tree = {f"{'folder/' * 30}{path}": data for path, data in TREE.items()}
    with tarfile.open(here / "source", "w", format=form) as tar:
        for path, data in tree.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for path in ("folder", "nothing"):
            folder = tarfile.TarInfo(path)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
    contents = repack(here / "source", here / "images.zip")
    assert dict(read_images(here / "images.zip")) == TREE
    assert contents.skipped == [("nothing", EMPTY_FOLDER)]


def test_a_tar_that_ends_with_a_zip_is_a_tar(here):
    inner = write_zip(here / "inner.zip", dataset(classes=("a", "b"))).read_bytes()
    source = write_tar(here / "source", TREE | {"inner.zip": inner})
    contents = repack(source, here / "images.zip")
    assert dict(read_images(here / "images.zip")) == TREE
    assert contents.skipped == [("inner.zip", "not an image file")]


KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_special_files_are_skipped_and_listed(here, kind):
    source = write_tar(here / "source", TREE)
    with tarfile.open(source, "a") as tar:
        member = tarfile.TarInfo("angry/other.png")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    contents = repack(source, here / "images.zip")
    assert contents.skipped == [("angry/other.png", LINK_OR_SPECIAL)]


REFUSED = {
    "a path above": ({"../angry/1.png": png(9)}, "is not a plain relative path"),
    "an absolute path": ({"/angry/1.png": png(9)}, "is not a plain relative path"),
    "a drive": ({"C:/angry/1.png": png(9)}, "is not a plain relative path"),
    "a backslash": ({"angry\\1.png": png(9)}, "is not a plain relative path"),
    "twice": ({"./angry/00.png": png(9)}, "angry/00.png is there twice"),
    "too many": ({f"{n}.txt": b"" for n in range(10)}, "has too many files, more than"),
    "too large": ({"angry/9.png": bytes(10**6 + 1)}, "1000001 bytes, more than download.limits.fi"),
    "too large together": (
        {f"angry/9{n}.png": bytes(9 * 10**5) for n in range(3)},
        "more than download.limits.total_mb = 2; raise it",
    ),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(("files", "text"), REFUSED.values(), ids=REFUSED)
def test_an_unsafe_tar_is_refused(here, refused, compression, files, text):
    source = write_tar(here / "source", TREE | files, compression)
    limits = SimpleNamespace(**vars(LIMITS) | {"ratio": 10**6})
    assert text in refused(source, limits=limits)


def test_what_unpacks_to_too_much_is_refused_before_it_fills_the_disk(here, refused):
    with gzip.open(here / "source", "wb") as file:
        for _ in range(200):
            file.write(bytes(10**6))
    text = "source unpacks to too much for its size, more than download.limits.ratio = 100; raise"
    limits = SimpleNamespace(**vars(LIMITS) | {"total_mb": 1000})
    assert text in refused(here / "source", limits=limits)
    assert "unpacks to too much, more than download.limits.total_mb = 2" in refused(
        here / "source", limits=LIMITS
    )
    assert not list((here / ".ferpipe").glob(".unpacked*"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_tar_that_is_cut_is_refused(here, compression):
    source = write_tar(here / "source", TREE, compression)
    intact = source.read_bytes()
    # A tar without compression ends with up to 10,240 zeros, and needs 512 of them.
    start, end = (20, len(intact) - 8) if compression else (600, len(intact.rstrip(b"\0")))
    for kept in np.random.default_rng(0).integers(start, end, 30):
        source.write_bytes(intact[:kept])
        with pytest.raises(PipelineError, match=r"source is (not a valid tar|damaged): "):
            repack(source, here / "images.zip")


@pytest.mark.parametrize("block", range(2, 18, 2))
def test_a_damaged_header_does_not_end_the_tar_without_a_word(here, refused, block):
    """Each image has a header of 512 bytes, and 512 bytes for itself."""
    source = write_tar(here / "source", TREE | {"a.txt": b"1", "b.txt": b"2", "c.txt": b"3"})
    data = bytearray(source.read_bytes())
    data[block * 512 + 3] ^= 0xFF
    source.write_bytes(data)
    assert "source is not a valid tar: no end, or no header at byte " in refused(source)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_random_damage_is_read_or_refused_in_one_line(here, form):
    with tarfile.open(here / "intact", "w", format=form) as tar:
        for path, data in TREE.items():
            member = tarfile.TarInfo(f"{'long/' * 40}{path}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    intact = (here / "intact").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(intact)
        for at in rng.integers(len(intact.rstrip(b"\0")), size=rng.integers(1, 6)):
            data[at] = rng.integers(256)
        (here / "source").write_bytes(data)
        try:
            repack(here / "source", here / "images.zip", max_bad_fraction=0.9)
        except PipelineError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 50 < refused < 300


def test_a_text_file_is_the_only_file_of_its_tree(here):
    (here / "fer.csv").write_bytes(b"emotion,pixels\n0,1 2 3\n")
    (here / "fer.csv.gz").write_bytes(gzip.compress((here / "fer.csv").read_bytes()))
    for name in ("fer.csv", "fer.csv.gz"):
        with open_tree(here / name, LIMITS) as tree:
            (item,) = tree.items()
            assert (str(item[0]), item[1].skip) == ("fer.csv", "not an image file")
            assert item[1].read() == b"emotion,pixels\n0,1 2 3\n"
