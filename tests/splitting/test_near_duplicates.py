import io
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from faces import encoded, noise, png, write_folder
from PIL import Image, ImageOps

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CLOSEST_PAIRS_COLUMNS, IMAGES
from ferpipe.sources.intake import repacking
from ferpipe.sources.sample.people import draw_subject
from ferpipe.splitting import audit, near_duplicates


@pytest.fixture
def fingerprint(tmp_path, monkeypatch):
    """Write the archive of a tree; returns its paths and fingerprints."""
    monkeypatch.chdir(tmp_path)

    def fingerprints(tree):
        source = write_folder(tmp_path / "source", tree)
        contents = repacking.repack(source, IMAGES, None, 0.0)
        paths = [image.path for image in contents.images]
        return paths, near_duplicates.fingerprints(IMAGES, paths)

    return fingerprints


@pytest.fixture(scope="module")
def drawn():
    """Names and thumbnails of drawn faces: 24 people, seven sequences each, of three frames."""
    names, pixels = [], []
    for subject in range(24):
        for number, frames in enumerate(draw_subject(1, subject + 1)):
            for frame in frames:
                names.append((f"S{subject}", f"S{subject}_{number}"))
                pixels.append(frame)
    side = pixels[0].shape[0] // near_duplicates.SIDE
    blocks = np.stack(pixels).reshape(
        len(pixels), near_duplicates.SIDE, side, near_duplicates.SIDE, side
    )
    return names, blocks.mean(axis=(2, 4)).astype(np.uint8)


def random_thumbnails(count, seed=0):
    shape = (count, near_duplicates.SIDE, near_duplicates.SIDE)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def changed_pixel():
    pixels = np.array(noise(1))
    pixels[0, 0] ^= 1
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("image", "file_format", "same"),
    [
        (noise(1), "bmp", True),
        (noise(1).convert("RGB"), "png", True),
        (noise(1).convert("RGBA"), "png", True),
        (Image.frombytes("L", (8, 6), noise(1, width=6, height=8).tobytes()), "png", False),
        (changed_pixel(), "png", False),
    ],
    ids=["BMP", "RGB", "RGBA", "another shape", "one pixel"],
)
def test_an_image_repeats_another_one_if_their_pixels_are_equal(
    fingerprint, image, file_format, same
):
    first = noise(1, width=6, height=8) if image.size == (8, 6) else noise(1)
    tree = {
        "b/3.png": png(3),
        "a/1.png": encoded(first),
        f"a/2.{file_format}": encoded(image, file_format),
    }
    paths, found = fingerprint(tree)
    expected = {f"a/2.{file_format}": "a/1.png"} if same else {}
    assert near_duplicates.repeats(paths, found.digests) == expected


def test_the_same_image_with_two_labels_is_an_error_that_names_both(fingerprint):
    tree = {"a/1.png": png(1), "a/2.png": png(2), "b/3.bmp": encoded(noise(1), "BMP")}
    paths, found = fingerprint(tree)
    with pytest.raises(PipelineError) as error:
        near_duplicates.repeats(paths, found.digests)
    assert str(error.value) == (
        "a/1.png and b/3.bmp are the same image with different labels; remove at least one of "
        "them from the source"
    )
    paths, found = fingerprint(tree | {"b/4.png": png(2)})
    with pytest.raises(PipelineError, match=re.escape("source; 2 such pairs are in .ferpipe/")):
        near_duplicates.repeats(paths, found.digests)
    assert near_duplicates.CONFLICTS.read_text().splitlines() == [
        *("path,same_image_as", "b/3.bmp,a/1.png", "b/4.png,a/2.png")
    ]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/1.png", "a/3.png"], "data/raw/index.csv and data/raw/images.zip differ at b/2.png"),
        (["a/1.png"], "data/raw/index.csv and data/raw/images.zip differ at b/2.png"),
        (["a/1.png", "b/2.png", "b/3.png"], "data/raw/index.csv lists 3 images, data/raw/images"),
    ],
)
def test_an_archive_that_is_not_that_of_the_index_is_refused(fingerprint, paths, message):
    fingerprint({"a/1.png": png(1), "b/2.png": png(2)})
    with pytest.raises(PipelineError, match=re.escape(message)):
        near_duplicates.fingerprints(IMAGES, paths)


def table(*rows):
    """A split table of (split, subject, sequence)."""
    table = pd.DataFrame(rows, columns=["split", "subject", "sequence"])
    return table.assign(label="a", path=[f"a/{number}" for number in range(len(rows))])


def test_val_must_not_share_with_train_nor_test_with_either():
    split = table(
        ("train", "S1", "S1_1"),
        ("train", "S2", "S2_1"),
        ("val", "S1", "S1_1"),
        ("val", "S3", "S3_1"),
        ("test", "S2", "S2_2"),
        ("test", "S3", "S3_1"),  # val selects the epoch, and a solved head is refit on it
        ("test", "S4", "S4_1"),
        ("test", "S5", "S5_1"),
    )
    assert audit.shared_fraction(split, "subject") == 3 / 6
    assert audit.shared_fraction(split, "sequence") == 2 / 6


def test_a_name_that_does_not_state_it_leaves_the_fraction_unknown():
    split = table(("train", "S1", "S1_1"), ("test", "S1", ""))
    assert audit.shared_fraction(split, "subject") == 1.0
    assert audit.shared_fraction(split, "sequence") is None


def correlation(one, other):
    """By NumPy, of the Laplacians."""
    edges = []
    for image in (one.astype(float), other.astype(float)):
        neighbours = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
        edges.append((4 * image[1:-1, 1:-1] - neighbours).ravel())
    return np.corrcoef(edges)[0, 1]


def test_the_closest_is_the_one_with_the_highest_correlation_mirrored_or_not():
    thumbnails = random_thumbnails(60)
    splits = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    pairs = near_duplicates.closest(thumbnails, splits)
    assert sorted(pairs["image"]) == list(range(40, 60))
    for pair in pairs.itertuples():
        training = thumbnails[: 40 if splits[pair.image] == "val" else 50]
        image = thumbnails[pair.image]
        plain = [correlation(image, other) for other in training]
        mirrored = [correlation(image[:, ::-1], other) for other in training]
        best = np.maximum(plain, mirrored)
        assert pair.closest == best.argmax()
        assert pair.similarity == pytest.approx(best.max(), abs=1e-12)
        assert pair.mirrored == (mirrored[pair.closest] > plain[pair.closest])


def test_pairs_are_sorted_by_similarity_and_ties_by_image():
    one = random_thumbnails(1)
    thumbnails = np.concatenate([one, one, random_thumbnails(3, seed=1), one, one])
    pairs = near_duplicates.closest(thumbnails, ["train"] * 3 + ["test"] * 4)
    assert pairs["image"].tolist()[:2] == [5, 6]
    assert pairs["closest"].tolist()[:2] == [0, 0]
    assert pairs["similarity"].is_monotonic_decreasing


def test_an_image_without_edges_is_similar_to_nothing():
    thumbnails = random_thumbnails(4)
    thumbnails[1], thumbnails[3] = 90, 90
    pairs = near_duplicates.closest(thumbnails, ["train", "train", "test", "test"])
    assert not pairs["near_duplicate"].any()
    assert np.isfinite(pairs["similarity"]).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((96, 96), Image.Resampling.BICUBIC),
        lambda image: image.resize((24, 24), Image.Resampling.BICUBIC),
        lambda image: image.point(lambda tone: tone * 0.8 + 20),
        lambda image: ImageOps.mirror(image),
        lambda image: ImageOps.mirror(image).convert("RGB"),
        lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=50))),
    ],
    ids=["larger", "smaller", "less contrast", "mirrored", "mirrored in colour", "JPEG"],
)
def test_a_changed_copy_of_a_face_is_a_near_duplicate(fingerprint, change):
    faces = [Image.fromarray(draw_subject(1, subject)[4][0]) for subject in range(1, 9)]
    tree = {f"a/{number}.png": encoded(face) for number, face in enumerate(faces)}
    paths, found = fingerprint(tree | {"b/8.png": encoded(change(faces[3]))})
    (pair,) = near_duplicates.closest(found.thumbnails, ["train"] * 8 + ["test"]).itertuples()
    assert paths[pair.closest] == "a/3.png"
    assert pair.near_duplicate


def test_on_drawn_faces_the_pixels_agree_with_the_names(drawn):
    names, thumbnails = drawn
    rng = np.random.default_rng(1)
    splits = rng.permutation(["train"] * 403 + ["test"] * 101)
    pairs = near_duplicates.closest(thumbnails, splits)
    trained = {names[image][1] for image in np.flatnonzero(splits == "train")}
    sibling = np.array([names[image][1] in trained for image in pairs["image"]])
    near = pairs["near_duplicate"].to_numpy()
    assert 0.9 < sibling.mean() < 1
    assert (near & sibling).sum() / near.sum() >= 0.99  # precision
    assert (near & sibling).sum() / sibling.sum() >= 0.99  # recall


def test_with_people_apart_no_drawn_face_has_a_near_duplicate(drawn):
    names, thumbnails = drawn
    splits = ["test" if int(subject[1:]) % 5 == 0 else "train" for subject, _ in names]
    assert not near_duplicates.closest(thumbnails, splits)["near_duplicate"].any()


def test_the_result_does_not_depend_on_how_the_work_is_cut(drawn, monkeypatch):
    splits = np.random.default_rng(2).permutation(["train", "val", "test"] * 168)
    whole = near_duplicates.closest(drawn[1], splits)
    monkeypatch.setattr(near_duplicates, "BLOCK", 1000)
    pd.testing.assert_frame_equal(near_duplicates.closest(drawn[1], splits), whole)


@pytest.mark.parametrize("core", ["Prescott", "Haswell"])
def test_the_result_is_the_same_on_any_processor(drawn, tmp_path, run_python, core):
    """OpenBLAS sums in another order on each; NumPy is told to do without wide registers."""
    np.save(tmp_path / "thumbnails.npy", drawn[1])
    code = (
        "import sys, numpy as np\n"
        "from ferpipe.splitting import near_duplicates\n"
        "thumbnails = np.load(sys.argv[1])\n"
        "splits = ['train', 'val', 'test'] * (len(thumbnails) // 3)\n"
        "print(near_duplicates.closest(thumbnails, splits).to_csv(), end='')"
    )
    features = "AVX2 FMA3" if core == "Prescott" else ""
    other = run_python(
        *("-c", code, tmp_path / "thumbnails.npy"),
        OPENBLAS_CORETYPE=core,
        OPENBLAS_NUM_THREADS="1",
        NPY_DISABLE_CPU_FEATURES=features,
    )
    here = near_duplicates.closest(drawn[1], ["train", "val", "test"] * (len(drawn[1]) // 3))
    assert other.stdout == here.to_csv()


def test_memory_does_not_grow_with_the_square_of_the_images(monkeypatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", 10_000)

    def peak(count):
        thumbnails = random_thumbnails(count)
        tracemalloc.start()
        near_duplicates.closest(thumbnails, ["train", "test"] * (count // 2))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # what is imported or made once
    assert peak(4000) < 2.2 * peak(2000)


def test_the_table_of_pairs_says_what_the_names_have_in_common():
    split = table(
        ("train", "S1", "S1_1"),
        ("val", "S1", "S1_1"),
        ("test", "S1", "S1_2"),
        ("test", "S2", "S2_1"),
        ("test", "", ""),
    )
    pairs = pd.DataFrame(
        {"image": [1, 2, 3, 4], "closest": 0, "similarity": [0.98765, 0.7, 0.6, 0.5],
         "mirrored": [False, True, False, False], "near_duplicate": [True, False, False, False]}
    )  # fmt: skip
    listed = audit.pair_table(pairs, split)
    assert list(listed) == list(CLOSEST_PAIRS_COLUMNS)
    assert listed.iloc[0].tolist() == [
        *("a/1", "a", "val", "a/0", "a", "train", "0.9877", False, True, "sequence"),
    ]
    assert listed["shared"].tolist() == ["sequence", "subject", "neither", "unknown"]
    assert listed["mirrored"].tolist() == [False, True, False, False]
