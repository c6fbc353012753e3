import hashlib
import shutil
import unicodedata
import zipfile

import numpy as np
import pytest
from faces import dataset, encoded, noise, png, repack, write_folder, write_tar, write_zip
from PIL import Image

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, index
from ferpipe.sources.intake import conflicts, repacking

TREE = dataset(per_class=3)
BAD = b"not an image"
NOT_AN_IMAGE = "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP, PNM)"


def packed(source, root=None, max_bad_fraction=0.0):
    """Repack beside the source; returns the contents."""
    return repack(source, source.parent / "images.zip", root, max_bad_fraction)


def image_paths(contents):
    return contents.images["path"].tolist()


def below(folder, tree=TREE):
    """The tree in a folder."""
    return {f"{folder}/{path}": data for path, data in tree.items()}


# The canonical form


def test_the_same_images_give_the_same_bytes_from_any_source(here):
    shuffled = dict(sorted(TREE.items(), key=lambda item: item[1][::-1]))
    sources = [
        write_folder(here / "folder", TREE),
        write_folder(here / "nested", below("a/b/c")),
        write_zip(here / "deflated.zip", TREE, zipfile.ZIP_DEFLATED),
        write_zip(here / "stored.zip", shuffled, zipfile.ZIP_STORED, (2024, 2, 2, 2, 2, 2)),
        write_zip(here / "deep.zip", below("data/CK+48/train", shuffled)),
    ]
    results = set()
    for source in sources:
        contents = packed(source)
        results.add(((here / "images.zip").read_bytes(), contents.digest, contents.images.to_csv()))
    assert len(results) == 1
    shutil.copy(here / "images.zip", here / "copy.zip")
    packed(here / "copy.zip")
    assert (here / "images.zip").read_bytes() == (here / "copy.zip").read_bytes()


def test_the_archive_is_sorted_and_stored_and_has_no_trace_of_machine_or_time(here):
    tree = {"b/2.png": png(1), "b/10.png": png(2), "Z/1.png": png(3), "a b/1.png": png(4)}
    packed(write_zip(here / "source.zip", tree))
    with zipfile.ZipFile(here / "images.zip") as zipped:
        entries = zipped.infolist()
        assert [e.filename for e in entries] == ["Z/1.png", "a b/1.png", "b/10.png", "b/2.png"]
        assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
        assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {(e.create_system, e.external_attr >> 16) for e in entries} == {(3, 0o100644)}
    assert list(archive.read_images(here / "images.zip")) == sorted(tree.items())


def test_a_row_of_the_index_describes_the_decoded_image(here):
    jpeg = encoded(noise(1, 9, 7, "RGB"), "JPEG")  # whatever its name
    tree = {"a/colour.png": jpeg, "b/one-bit.PNG": encoded(noise(2, 5, 6).convert("1"))}
    contents = packed(write_folder(here / "source", tree))
    rows = contents.images.itertuples(index=False, name=None)
    assert [row[:5] for row in rows] == [
        ("a/colour.png", "a", 9, 7, "RGB"),
        ("b/one-bit.PNG", "b", 5, 6, "L"),
    ]
    assert contents.class_counts == {"a": 1, "b": 1}
    assert dict(archive.read_images(here / "images.zip")) == tree


def test_the_digest_is_pinned():
    digest = index.content_digest([("b/1.png", "1" * 64), ("a/1.png", "0" * 64)])
    # printf 'a/1.png 000...\nb/1.png 111...\n' | sha256sum
    assert digest == "7ce3d28569d26ca60d53cab1f5a7af849672ba389d9d316b46895831fee3419e"


# Which files are the images


NO_IMAGES = "source holds no images; it should have one folder per class, such as happy/face1.png"
OUTSIDE = (
    "source: face.png is in no class folder; move it into one, or set download.root to the folder "
    "that contains the class folders"
)
ONE_CLASS = "a classifier needs at least two classes with images; classes: angry"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (TREE | {"face.png": png(5)}, OUTSIDE),
        ({}, NO_IMAGES),
        ({"README.md": b"hello"}, f"{NO_IMAGES}; other files: 1, such as README.md"),
        (dataset(classes=("angry",)), ONE_CLASS),
        (dataset(per_class=3, classes=("angry",)) | {"happy/1.png": BAD}, ONE_CLASS),
    ],
    ids=["no class folder", "empty", "no images", "one class", "one class that can be used"],
)
def test_a_source_without_two_class_folders_is_an_error(here, refused, tree, message):
    (here / "source").mkdir()
    write_folder(here / "source", tree)
    assert refused(here / "source", max_bad_fraction=0.5).removeprefix(f"{here}/") == message


# Images that the policy refuses


def test_refused_images_up_to_the_limit_are_skipped_with_the_reason(here):
    tree = TREE | {"angry/90.png": BAD, "happy/91.png": b""}
    contents = packed(write_zip(here / "source.zip", tree), max_bad_fraction=0.25)
    assert contents.skipped == [("angry/90.png", NOT_AN_IMAGE), ("happy/91.png", "empty file")]
    assert dict(archive.read_images(here / "images.zip")) == TREE


def test_refused_images_above_the_limit_are_an_error_and_listed(here, refused):
    tree = TREE | {"angry/90.png": BAD, "happy/91.png": b""}
    message = refused(write_zip(here / "source.zip", tree), max_bad_fraction=0.2)
    assert message == (
        "2 of 8 images cannot be used, download.max_bad_fraction = 0.2 allows 1; the first is "
        f"angry/90.png ({NOT_AN_IMAGE}); all are in {repacking.REFUSED}"
    )
    table = tables.read_table(repacking.REFUSED, paths.SKIPPED_COLUMNS)
    assert table.values.tolist() == [["angry/90.png", NOT_AN_IMAGE], ["happy/91.png", "empty file"]]


def test_the_limit_itself_is_allowed_also_where_floats_round_down(here, refused):
    tree = {f"a/{n:02}.png": png(n) for n in range(70)} | {"b/00.png": png(70)}
    tree |= {f"b/bad{n:02}.png": BAD for n in range(29)}
    source = write_folder(here / "source", tree)
    assert 0.29 * len(tree) < 29
    assert len(packed(source, max_bad_fraction=0.29).skipped) == 29
    assert "29 of 100 images cannot be used" in refused(source, max_bad_fraction=0.28)


# Names


def test_names_become_nfc_whatever_the_source_has(here):
    composed = {
        unicodedata.normalize("NFC", p): d for p, d in dataset(classes=("müde", "é")).items()
    }
    decomposed = {unicodedata.normalize("NFD", path): data for path, data in composed.items()}
    assert decomposed.keys() != composed.keys()
    packed(write_zip(here / "source.zip", decomposed))
    assert dict(archive.read_images(here / "images.zip")) == composed


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("reverse", [False, True])
def test_files_that_are_equal_on_some_file_system_get_names_that_differ(here, write, reverse):
    tree = {f"angry/IMG.{suffix}": png(n) for n, suffix in enumerate(("JPG", "Jpg", "jpg"))}
    tree |= {"angry/e\u0301.png": png(3), "angry/\u00e9.png": png(4), "angry/IMG-2.jpg": png(5)}
    tree |= {"happy/IMG.jpg": png(6)}
    source = write(here / "source", dict(sorted(tree.items(), reverse=reverse)))
    packed(source)
    assert dict(archive.read_images(here / "images.zip")) == {
        "angry/IMG.JPG": png(0),
        "angry/IMG-3.Jpg": png(1),
        "angry/IMG-4.jpg": png(2),
        "angry/\u00e9.png": png(3),
        "angry/\u00e9-2.png": png(4),
        "angry/IMG-2.jpg": png(5),
        "happy/IMG.jpg": png(6),
    }


# Conversions and conflicts


CUT_OUT = noise(20, mode="RGBA")
DEEP = Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 500)
LOSSY = {
    "angry/cmyk.jpg": encoded(noise(21, mode="RGB").convert("CMYK"), "JPEG"),
    "angry/cut out": encoded(CUT_OUT),
    "happy/DEEP.PNG": encoded(DEEP),
    "happy/moves.gif": encoded(noise(22), "GIF", save_all=True, append_images=[noise(23)]),
}
ALL_ON = {"background": "#ff0080", "cmyk": True, "deep": True, "frames": True}


def test_an_image_that_needs_a_conversion_is_refused_and_the_reason_names_the_key(here, refused):
    message = refused(write_folder(here / "source", TREE | LOSSY))
    assert "4 of 10 images cannot be used" in message
    table = tables.read_table(repacking.REFUSED, paths.SKIPPED_COLUMNS)
    keys = ["cmyk", "background", "deep", "frames"]
    assert table["path"].tolist() == list(LOSSY)
    for key, reason in zip(keys, table["reason"], strict=True):
        assert f"; download.convert.{key} " in reason


def test_a_converted_image_is_a_png_in_the_archive_and_counted(here):
    source = write_folder(here / "source", TREE | LOSSY | {"angry/cmyk.png": png(30)})
    contents = repack(source, here / "images.zip", **ALL_ON)
    written = dict(archive.read_images(here / "images.zip"))
    names = ["angry/cmyk-2.png", "angry/cut out.png", "happy/DEEP.PNG", "happy/moves.png"]
    assert list(written) == sorted([*TREE, "angry/cmyk.png", *names]) == image_paths(contents)
    assert all(data.startswith(b"\x89PNG") for data in written.values())
    assert written["angry/cmyk.png"] == png(30)
    assert contents.notes == (
        "images were converted with loss: CMYK to RGB (1), first of several frames (1), "
        "transparent pixels on #ff0080 (1), upper 8 of 16 bits (1)",
    )
    sha256 = contents.images.set_index("path")["sha256"]
    for path, data in written.items():
        assert sha256[path] == hashlib.sha256(data).hexdigest()


def test_other_images_keep_their_bytes_where_conversions_are_allowed(here):
    source = write_folder(here / "source", TREE)
    repack(source, here / "all.zip", **ALL_ON)
    contents = packed(source)
    assert (here / "all.zip").read_bytes() == (here / "images.zip").read_bytes()
    assert contents.notes == ()


CONFLICTS = {
    "angry/again.png": png(50),
    "happy/again.bmp": encoded(noise(50), "BMP"),
    "angry/gray.png": encoded(noise(51).convert("RGB")),
    "sad/1.png": png(51),
    "sad/2.png": png(51),
}
SAD = {"sad/3.png": png(60), "sad/4.png": png(61), "sad/twice.png": png(61)}


def test_identical_images_with_different_labels_are_an_error_that_names_the_key(here, refused):
    assert refused(write_folder(here / "source", TREE | SAD | CONFLICTS)) == (
        "angry/again.png and happy/again.bmp are the same image with different labels; correct the "
        "source, or set download.conflicts to drop, which leaves out all such images (5, listed in "
        ".ferpipe/conflicts.csv)"
    )
    listed = conflicts.TABLE.read_text().splitlines()
    assert len(listed) == 6 and listed[-1] == "sad/2.png,angry/gray.png"


def test_they_are_left_out_and_listed_if_they_are_to_be_dropped(here):
    tree = TREE | SAD
    contents = repack(
        write_zip(here / "source.zip", tree | CONFLICTS), here / "images.zip", conflicts="drop"
    )
    assert list(archive.read_images(here / "images.zip")) == sorted(tree.items())
    assert image_paths(contents) == sorted(tree)
    assert [path for path, _ in contents.skipped] == sorted(CONFLICTS)
    assert dict(contents.skipped)["angry/again.png"] == f"{conflicts.REASON}happy/again.bmp"
    assert contents.notes == (
        "images left out, because the same image has another label: 5; they are in "
        "data/raw/skipped.csv",
    )
    other = write_folder(here / "other", tree)
    repack(other, here / "other.zip")
    assert (here / "other.zip").read_bytes() == (here / "images.zip").read_bytes()


def test_a_class_whose_images_are_all_dropped_is_gone(here, refused):
    tree = {"angry/1.png": png(1), "angry/2.png": png(2), "happy/1.png": png(1)}
    assert "two classes with images; classes: angry" in refused(
        write_folder(here / "source", tree), conflicts="drop"
    )


# Damage


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_with_damaged_data_is_an_error(here, compression):
    source = write_zip(here / "source.zip", TREE, compression)
    intact = source.read_bytes()
    end = intact.index(b"PK\x01\x02")  # the central directory
    errors = 0
    for position in np.random.default_rng(0).integers(0, end, 60):
        data = bytearray(intact)
        data[position] ^= 0xFF
        source.write_bytes(data)
        try:
            packed(source)
        except PipelineError as error:
            assert str(error).startswith(f"{source} is not a valid zip: ")
            errors += 1
    # The rest are fields of the local headers that the central directory overrules.
    assert errors > 40


def test_a_missing_archive_is_an_error_with_the_remedy(here):
    with pytest.raises(PipelineError, match=r"images\.zip is missing; run `dvc repro`"):
        list(archive.read_images(here / "images.zip"))


def test_a_damaged_archive_is_an_error_with_the_remedy(here):
    packed(write_folder(here / "source", TREE))
    intact = (here / "images.zip").read_bytes()
    start = intact.index(TREE["angry/00.png"])
    for damaged in (intact[: start + 20], intact[: start + 20] + b"?" + intact[start + 21 :]):
        (here / "images.zip").write_bytes(damaged)
        with pytest.raises(PipelineError, match=r"images\.zip is damaged .*; run `dvc repro --f"):
            list(archive.read_images(here / "images.zip"))
