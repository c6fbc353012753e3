import shutil
import unicodedata
import zipfile

import numpy as np
import pytest
from faces import dataset, encoded, noise, png, write_folder, write_zip

from ferpipe.core.errors import PipelineError
from ferpipe.core.files import read_csv
from ferpipe.data import archive, index
from ferpipe.sources.intake import repacking
from ferpipe.sources.intake.repacking import repack

TREE = dataset(per_class=3)
BAD = b"not an image"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder that the test runs in: a reason list goes below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def packed(source, root=None, max_bad_fraction=0.0):
    """Repack beside the source; returns what the archive holds."""
    return repack(source, source.parent / "images.zip", root, max_bad_fraction)


def refused(source, *args, **kwargs):
    """The error's message, once it is sure that nothing changed on disk."""
    folder = source.parent
    target = folder / "images.zip"
    target.write_bytes(b"the old archive")
    before = sorted(p for p in folder.rglob("*") if ".ferpipe" not in p.parts)
    with pytest.raises(PipelineError) as error:
        repack(source, target, *(args or (None, 0.0)), **kwargs)
    assert target.read_bytes() == b"the old archive"
    assert sorted(p for p in folder.rglob("*") if ".ferpipe" not in p.parts) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def paths(contents):
    return [image.path for image in contents.images]


# The canonical form


def test_the_same_images_give_the_same_bytes_whatever_they_came_from(here):
    shuffled = dict(sorted(TREE.items(), key=lambda item: item[1][::-1]))
    sources = [
        write_folder(here / "folder", TREE),
        write_folder(here / "nested", {f"a/b/c/{path}": data for path, data in TREE.items()}),
        write_zip(here / "deflated.zip", TREE, zipfile.ZIP_DEFLATED),
        write_zip(here / "stored.zip", shuffled, zipfile.ZIP_STORED, (2024, 2, 2, 2, 2, 2)),
        write_zip(here / "deep.zip", {f"CK/{path}": data for path, data in shuffled.items()}),
    ]
    found = set()
    for source in sources:
        contents = packed(source)
        found.add(((here / "images.zip").read_bytes(), contents.digest, tuple(contents.images)))
    assert len(found) == 1


def test_the_archive_is_sorted_stored_and_tells_no_machine_and_no_moment(here):
    tree = {"b/2.png": png(1), "b/10.png": png(2), "Z/1.png": png(3), "a b/1.png": png(4)}
    packed(write_zip(here / "source.zip", tree))
    with zipfile.ZipFile(here / "images.zip") as zipped:
        entries = zipped.infolist()
        assert [e.filename for e in entries] == ["Z/1.png", "a b/1.png", "b/10.png", "b/2.png"]
        assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
        assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {(e.create_system, e.external_attr >> 16) for e in entries} == {(3, 0o100644)}
        assert {e.filename: zipped.read(e) for e in entries} == tree


def test_the_archive_reads_back_in_its_own_order(here):
    packed(write_zip(here / "source.zip", dict(reversed(TREE.items()))))
    assert dict(archive.read_images(here / "images.zip")) == TREE
    assert [path for path, _ in archive.read_images(here / "images.zip")] == sorted(TREE)


def test_a_row_of_the_index_tells_what_an_image_decodes_to(here):
    tree = {
        "a/colour.png": encoded(noise(1, 9, 7, "RGB")),
        "b/one-bit.png": encoded(noise(2, 5, 6).convert("1")),
    }
    contents = packed(write_folder(here / "source", tree))
    first, second = contents.images
    assert (first.path, first.label, first.width, first.height) == ("a/colour.png", "a", 9, 7)
    assert (first.mode, second.mode) == ("RGB", "L")
    assert (second.width, second.height) == (5, 6)
    assert contents.class_counts == {"a": 1, "b": 1}


def test_a_jpeg_named_png_is_taken_as_it_is(here):
    jpeg = encoded(noise(1), "JPEG")
    contents = packed(write_folder(here / "source", {"a/1.png": jpeg, "b/1.PNG": png(2)}))
    assert paths(contents) == ["a/1.png", "b/1.PNG"]
    assert dict(archive.read_images(here / "images.zip"))["a/1.png"] == jpeg


def test_the_digest_is_of_the_content(here):
    contents = packed(write_folder(here / "one", TREE))
    renamed = {path.replace("angry", "cross"): data for path, data in TREE.items()}
    changed = {**TREE, "angry/00.png": png(99)}
    fewer = dict(list(TREE.items())[1:])
    digests = {contents.digest}
    for number, tree in enumerate((renamed, changed, fewer)):
        digests.add(packed(write_folder(here / str(number), tree)).digest)
    assert len(digests) == 4


def test_the_digest_is_pinned():
    images = [
        index.Image("b/1.png", "b", 2, 2, "L", "1" * 64),
        index.Image("a/1.png", "a", 3, 3, "RGB", "0" * 64),
    ]
    digest = repacking.Contents(images, []).digest
    # printf 'a/1.png 000...\nb/1.png 111...\n' | sha256sum
    assert digest == "7ce3d28569d26ca60d53cab1f5a7af849672ba389d9d316b46895831fee3419e"


# Which files are the images


@pytest.mark.parametrize("prefix", ["", "CK+48/", "data/CK+48/train/"])
def test_class_folders_may_lie_at_any_depth(here, prefix):
    tree = {prefix + path: data for path, data in TREE.items()}
    assert paths(packed(write_zip(here / "source.zip", tree))) == sorted(TREE)


def test_what_is_no_image_is_left_out_and_listed(here):
    noise_files = {
        "README.md": b"hello",
        "angry/Thumbs.db": b"db",
        "angry/.DS_Store": b"ds",
        "happy/.hidden.png": png(7),
        "__MACOSX/angry/._00.png": b"mac",
        "__MACOSX/angry/00.png": b"mac",
        ".git/angry/00.png": b"git",
        "labels.csv": b"a,b",
    }
    contents = packed(write_zip(here / "source.zip", {**noise_files, **TREE}))
    assert paths(contents) == sorted(TREE)
    assert contents.skipped == [(path, "not an image file") for path in sorted(noise_files)]


def test_the_same_tree_twice_counts_once(here):
    tree = TREE | {f"CK+48/{path}": data for path, data in TREE.items()}
    contents = packed(write_zip(here / "source.zip", tree))
    assert paths(contents) == sorted(TREE)


@pytest.mark.parametrize(
    "change",
    [{"CK+48/angry/00.png": png(99)}, {"CK+48/angry/99.png": png(99)}],
    ids=["other bytes", "one more"],
)
def test_a_tree_in_a_tree_that_differs_is_an_error_that_names_the_key(here, change):
    tree = TREE | {f"CK+48/{path}": data for path, data in TREE.items()} | change
    source = write_zip(here / "source.zip", tree)
    assert refused(source) == (
        f"{source} has class folders in several places that differ: ., CK+48; "
        "set download.root to one of them"
    )


def test_trees_that_differ_are_told_in_order(here):
    tree = {f"{root}/{path}": data for root in ("c", "a", "b") for path, data in TREE.items()}
    source = write_zip(here / "source.zip", tree | {"b/angry/99.png": png(99)})
    assert "in several places that differ: a, b, c; set" in refused(source)


@pytest.mark.parametrize("root", ["two", "two/", "./two"])
def test_the_root_picks_one_tree_of_several(here, root):
    other = dataset(per_class=1, classes=("fear", "joy"))
    tree = {f"one/{p}": d for p, d in TREE.items()} | {f"two/{p}": d for p, d in other.items()}
    assert paths(packed(write_zip(here / "source.zip", tree), root)) == sorted(other)


def test_a_dot_as_root_is_the_top(here):
    tree = TREE | {"more/fear/1.png": png(5)}
    assert paths(packed(write_folder(here / "source", tree), ".")) == sorted(TREE)


def test_a_root_without_class_folders_is_told_with_those_that_have_some(here):
    tree = {f"{root}/{path}": data for root in ("two", "one") for path, data in TREE.items()}
    source = write_zip(here / "source.zip", tree)
    assert refused(source, "three", 0.0) == (
        f"download.root = 'three' holds no class folders in {source}; folders that do: one, two"
    )


def test_an_image_outside_a_class_folder_is_an_error(here):
    source = write_folder(here / "source", TREE | {"face.png": png(5)})
    assert refused(source) == f"{source}: face.png lies in no class folder; move it into one"


@pytest.mark.parametrize("tree", [{}, {"README.md": b"hello"}], ids=["empty", "a file"])
def test_a_source_without_images_is_an_error(here, tree):
    source = here / "source"
    source.mkdir()
    write_folder(source, tree)
    assert refused(source) == (
        f"{source} holds no images; it should have one folder a class, such as happy/face1.png"
    )


def test_a_single_class_is_an_error(here):
    source = write_folder(here / "source", dataset(classes=("angry",)))
    assert refused(source) == "a classifier needs at least two classes with images, found angry"


def test_a_missing_source_is_an_error(here):
    assert refused(here / "faces.zip") == (
        f"{here / 'faces.zip'} is missing; it should be a zip or a folder of class folders"
    )


# Images that the policy refuses


def test_bad_images_below_the_limit_are_left_out_with_the_reason(here):
    tree = TREE | {"angry/90.png": BAD, "happy/91.png": b""}
    contents = packed(write_zip(here / "source.zip", tree), max_bad_fraction=0.25)
    assert paths(contents) == sorted(TREE)
    assert contents.skipped == [
        ("angry/90.png", "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP)"),
        ("happy/91.png", "empty file"),
    ]
    assert dict(archive.read_images(here / "images.zip")) == TREE


def test_bad_images_above_the_limit_are_an_error_and_a_list_of_reasons(here):
    tree = TREE | {"angry/90.png": BAD, "happy/91.png": b""}
    message = refused(write_zip(here / "source.zip", tree), None, 0.2)
    assert message == (
        "2 of 8 images cannot be used, download.max_bad_fraction = 0.2 allows 1; the first is "
        "angry/90.png (not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP)); all are in "
        f"{repacking.REFUSED}"
    )
    assert read_csv(repacking.REFUSED, ("path", "reason")) == [
        {"path": "angry/90.png", "reason": "not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP)"},
        {"path": "happy/91.png", "reason": "empty file"},
    ]


def test_by_default_not_one_bad_image_is_allowed(here):
    message = refused(write_zip(here / "source.zip", TREE | {"angry/90.png": BAD}))
    assert message.startswith(
        "1 of 7 images cannot be used, download.max_bad_fraction = 0 allows 0; the first is "
    )


def test_the_limit_itself_is_allowed_also_where_floats_round_down(here):
    tree = {f"a/{n:02}.png": png(n) for n in range(70)} | {"b/00.png": png(70)}
    tree |= {f"b/bad{n:02}.png": BAD for n in range(29)}
    source = write_folder(here / "source", tree)
    assert 0.29 * len(tree) < 29
    assert len(packed(source, max_bad_fraction=0.29).skipped) == 29
    assert "29 of 100 images cannot be used" in refused(source, None, 0.28)


def test_a_class_that_is_left_with_no_image_does_not_count(here):
    tree = dataset(per_class=3, classes=("angry",)) | {"happy/1.png": BAD}
    message = refused(write_folder(here / "source", tree), None, 0.5)
    assert message == "a classifier needs at least two classes with images, found angry"


# Names


def test_names_become_nfc_whatever_the_source_wrote(here):
    composed = {
        unicodedata.normalize("NFC", p): d for p, d in dataset(classes=("müde", "é")).items()
    }
    decomposed = {unicodedata.normalize("NFD", path): data for path, data in composed.items()}
    assert decomposed.keys() != composed.keys()
    contents = packed(write_zip(here / "source.zip", decomposed))
    assert paths(contents) == sorted(composed)
    assert dict(archive.read_images(here / "images.zip")) == composed


def test_two_names_that_become_one_are_an_error(here):
    tree = TREE | {"angry/e\u0301.png": png(8), "angry/\u00e9.png": png(9)}
    message = refused(write_zip(here / "source.zip", tree))
    assert message == "two files are both named angry/\u00e9.png; rename one of them"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Angry/90.png", "two classes are named Angry and angry; rename one of them"),
        ("angry/A.PNG", "two files are named angry/A.PNG and angry/a.png; rename one of them"),
        ("STRASSE/1.png", "two classes are named STRASSE and stra\u00dfe; rename one of them"),
    ],
)
def test_two_names_that_differ_in_case_alone_are_an_error(here, name, message):
    tree = TREE | {"angry/a.png": png(7), "stra\u00dfe/1.png": png(8), name: png(9)}
    assert refused(write_zip(here / "source.zip", tree)) == message


# Zips that cannot be trusted: see also test_listing.py


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_with_damaged_data_is_an_error_wherever_the_damage_is(here, compression):
    source = write_zip(here / "source.zip", TREE, compression)
    sound = source.read_bytes()
    end = sound.index(b"PK\x01\x02")  # the central directory
    rng = np.random.default_rng(0)
    told = 0
    for position in rng.integers(0, end, 60):
        data = bytearray(sound)
        data[position] ^= 0xFF
        source.write_bytes(data)
        try:
            packed(source)
        except PipelineError as error:
            assert str(error).startswith(f"{source} is not a sound zip: ")
            told += 1
    # What is left are fields of the local headers that the central directory overrules.
    assert told > 40


# Reading the canonical archive


def test_a_missing_archive_is_told_with_the_remedy(here):
    with pytest.raises(PipelineError, match=r"images\.zip is missing; run `dvc repro`"):
        list(archive.read_images(here / "images.zip"))


def test_a_damaged_archive_is_told_with_the_remedy(here):
    packed(write_folder(here / "source", TREE))
    sound = (here / "images.zip").read_bytes()
    start = sound.index(TREE["angry/00.png"])
    for damaged in (sound[: start + 20], sound[: start + 20] + b"?" + sound[start + 21 :]):
        (here / "images.zip").write_bytes(damaged)
        with pytest.raises(PipelineError, match=r"images\.zip is damaged .*; run `dvc repro --f"):
            list(archive.read_images(here / "images.zip"))


def test_the_archive_of_an_archive_is_itself(here):
    packed(write_folder(here / "source", TREE))
    shutil.copy(here / "images.zip", here / "copy.zip")
    packed(here / "copy.zip")
    assert (here / "images.zip").read_bytes() == (here / "copy.zip").read_bytes()


def test_what_is_no_image_may_have_any_name_and_size_also_in_a_zip(tmp_path):
    source = tmp_path / "faces.zip"
    tree = dataset() | {"happy/Icon\r": b"", "notes/big.csv": bytes(65 * 2**20)}
    write_zip(source, tree)
    contents = repacking.repack(source, tmp_path / "images.zip", None, 0.0)
    assert {path for path, _ in contents.skipped} == {"happy/Icon\\r", "notes/big.csv"}
