import io
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from faces import encoded, noise, png, repack, write_folder
from PIL import Image, ImageOps

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import IMAGES
from ferpipe.data.thumbnails import SIDE
from ferpipe.sources.sample.people import draw_subject
from ferpipe.splitting import near_duplicates
from ferpipe.splitting.edges import edges_of


@pytest.fixture
def fingerprints(tmp_path, monkeypatch):
    """Repack a tree; returns paths, digests and thumbnails of its images."""
    monkeypatch.chdir(tmp_path)

    def compute(tree):
        contents = repack(write_folder(tmp_path / "source", tree), IMAGES)
        images = contents.images
        return images["path"], images["pixels_sha256"], contents.thumbnails

    return compute


@pytest.fixture(scope="module")
def drawn():
    """Subjects, sequences and thumbnails of drawn faces: 24 people, 7 sequences of 3 frames."""
    faces = np.concatenate([draw_subject(1, subject) for subject in range(1, 25)])
    thumbnails = faces.reshape(-1, SIDE, 4, SIDE, 4).mean(axis=(2, 4)).astype(np.uint8)
    sequences = np.arange(len(thumbnails)) // 3
    return sequences // 7, sequences, thumbnails


def random_thumbnails(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


# Repeated images


def test_an_image_in_another_file_format_is_the_same_image(fingerprints):
    image = noise(1)
    tree = {
        "a/1.png": encoded(image),
        "a/2.bmp": encoded(image, "BMP"),
        "a/3.png": encoded(image.convert("RGBA")),
        "a/4.png": png(2),
        "b/5.png": png(3),
    }
    paths, digests, _ = fingerprints(tree)
    repeats = near_duplicates.repeats(paths, digests)
    assert repeats == {"a/2.bmp": "a/1.png", "a/3.png": "a/1.png"}


def one_tone_off(image):
    pixels = np.array(image)
    pixels[0, 0] ^= 1
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "change", [lambda image: Image.frombytes("L", (8, 6), image.tobytes()), one_tone_off]
)
def test_another_shape_or_another_tone_makes_another_image(fingerprints, change):
    image = noise(1, width=6, height=8)
    tree = {"a/1.png": encoded(image), "a/2.png": encoded(change(image)), "b/3.png": png(3)}
    paths, digests, _ = fingerprints(tree)
    assert near_duplicates.repeats(paths, digests) == {}


def test_the_same_image_with_two_labels_is_an_error_that_names_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = (
        "a/1.png and b/1.bmp are the same image with different labels; remove at least one of "
        "them from the source"
    )
    paths = ["a/1.png", "a/2.png", "b/1.bmp", "b/2.png"]
    with pytest.raises(PipelineError, match=f"^{re.escape(error)}$"):
        near_duplicates.repeats(paths, ["1", "2", "1", "3"])
    error += "; 2 such pairs are in .ferpipe/conflicts.csv"
    with pytest.raises(PipelineError, match=f"^{re.escape(error)}$"):
        near_duplicates.repeats(paths, ["1", "2", "1", "2"])
    assert near_duplicates.CONFLICTS.read_text().splitlines() == [
        *("path,same_image_as", "b/1.bmp,a/1.png", "b/2.png,a/2.png")
    ]


# Near-duplicates


def correlation(one, other):
    """By NumPy, of the Laplacians."""
    edges = []
    for image in (one.astype(float), other.astype(float)):
        neighbours = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
        edges.append((4 * image[1:-1, 1:-1] - neighbours).ravel())
    return np.corrcoef(edges)[0, 1]


@pytest.mark.parametrize("block", [512, 7])
def test_the_closest_image_has_the_highest_correlation_mirrored_or_not(block, monkeypatch):
    monkeypatch.setattr(near_duplicates, "ROWS", 3)
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    thumbnails = random_thumbnails(60)
    splits = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    pairs = near_duplicates.closest(thumbnails, splits)
    assert sorted(pairs["image"]) == list(range(40, 60))
    assert pairs["similarity"].is_monotonic_decreasing
    for pair in pairs.itertuples():
        training = thumbnails[: 40 if splits[pair.image] == "val" else 50]
        image = thumbnails[pair.image]
        straight = [correlation(image, other) for other in training]
        mirrored = [correlation(image[:, ::-1], other) for other in training]
        best = np.maximum(straight, mirrored)
        assert pair.closest == best.argmax()
        assert pair.similarity == pytest.approx(best.max(), abs=1e-12)
        assert pair.mirrored == (mirrored[pair.closest] > straight[pair.closest])


def test_equally_close_pairs_are_in_the_order_of_the_images():
    one = random_thumbnails(1)
    thumbnails = np.concatenate([one, one, random_thumbnails(3, seed=1), one, one])
    pairs = near_duplicates.closest(thumbnails, ["train"] * 3 + ["test"] * 4)
    assert pairs["image"].tolist()[:2] == [5, 6]
    assert pairs["closest"].tolist()[:2] == [0, 0]


def test_an_image_without_edges_has_no_near_duplicate():
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
        lambda image: ImageOps.mirror(image).convert("RGB"),
        lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=50))),
    ],
    ids=["larger", "smaller", "less contrast", "mirrored in colour", "JPEG"],
)
def test_a_changed_copy_of_a_face_is_a_near_duplicate(fingerprints, change):
    faces = [Image.fromarray(draw_subject(1, subject)[4][0]) for subject in range(1, 9)]
    tree = {f"a/{number}.png": encoded(face) for number, face in enumerate(faces)}
    paths, _, thumbnails = fingerprints(tree | {"b/8.png": encoded(change(faces[3]))})
    pairs = near_duplicates.closest(thumbnails, ["train"] * 8 + ["test"])
    assert paths[pairs["closest"][0]] == "a/3.png"
    assert pairs["near_duplicate"].tolist() == [True]


def test_on_drawn_faces_near_duplicates_are_those_of_a_sequence(drawn):
    subjects, sequences, thumbnails = drawn
    splits = np.random.default_rng(1).permutation(["train"] * 403 + ["test"] * 101)
    pairs = near_duplicates.closest(thumbnails, splits)
    sibling = np.isin(sequences[pairs["image"]], sequences[splits == "train"])
    near = pairs["near_duplicate"].to_numpy()
    assert 0.9 < sibling.mean() < 1
    assert (near & sibling).sum() / near.sum() >= 0.99  # precision
    assert (near & sibling).sum() / sibling.sum() >= 0.93  # recall
    by_subject = near_duplicates.closest(thumbnails, np.where(subjects % 5, "train", "test"))
    assert not by_subject["near_duplicate"].any()


# The same everywhere, fast and small


def plainly_closest(thumbnails, splits):
    """All pairs in integers, by centred Laplacians."""
    gray = thumbnails.astype(np.int64)
    edges = 4 * gray[:, 1:-1, 1:-1] - gray[:, :-2, 1:-1] - gray[:, 2:, 1:-1]
    edges -= gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    edges = 100 * edges - edges.sum(axis=(1, 2), keepdims=True)
    flat, mirrored = edges.reshape(-1, 100), edges[:, :, ::-1].reshape(-1, 100)
    lengths = np.sqrt((flat**2).sum(axis=1))
    lengths[lengths == 0] = 1
    rows = []
    for split, others in near_duplicates.COMPARED_WITH.items():
        training = np.flatnonzero(np.isin(splits, others))
        for image in np.flatnonzero(splits == split):
            straight, turned = flat[training] @ flat[image], flat[training] @ mirrored[image]
            products = 2 * np.maximum(straight, turned) / lengths[training]
            at = products.argmax()
            similarity = products[at] / (2 * lengths[image])
            rows.append((image, training[at], similarity, turned[at] > straight[at]))
    pairs = pd.DataFrame(rows, columns=["image", "closest", "similarity", "mirrored"])
    pairs["near_duplicate"] = pairs["similarity"] >= near_duplicates.NEAR
    return pairs.sort_values(["similarity", "image"], ascending=[False, True], ignore_index=True)


def tones(*values):
    """Thumbnails of these tones only: many pairs are equally or nearly equally similar."""
    return lambda drawn: np.random.default_rng(3).choice(np.uint8(values), drawn.shape)


def repeated(drawn):
    copies = [drawn[:100], drawn[:100, :, ::-1], drawn[:100] // 2, drawn[50:150]]
    return np.random.default_rng(4).permutation(np.concatenate(copies))


def partly_flat(drawn):
    return np.where(np.arange(len(drawn))[:, None, None] % 3, drawn, 90)


KINDS = {
    "drawn": lambda drawn: drawn,
    "noise": lambda drawn: random_thumbnails(len(drawn)),
    "two tones": tones(100, 101),
    "black and white": tones(0, 255),
    "a few pixels": tones(*[0] * 40, 1),
    "repeated": repeated,
    "partly flat": partly_flat,
    "all flat": np.zeros_like,
}


@pytest.mark.parametrize("sizes", [(512, 256, 16_384), (10, 7, 100)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_that_of_comparing_all_pairs(drawn, monkeypatch, kind, sizes):
    thumbnails = KINDS[kind](drawn[2])[:300]
    splits = np.random.default_rng(2).permutation(["train", "val", "test"] * 100)
    for name, size in zip(("BLOCK", "ROWS", "CHUNK"), sizes, strict=True):
        monkeypatch.setattr(near_duplicates, name, size)
    found = near_duplicates.closest(thumbnails, splits)
    pd.testing.assert_frame_equal(found, plainly_closest(thumbnails, splits), check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_errs_by_less_than_the_bound(drawn, kind):
    thumbnails = KINDS[kind](drawn[2])
    edges = edges_of(thumbnails)
    found = np.empty(len(thumbnails), np.float32)
    near_duplicates._block_maxima(edges.unit(), edges.unit(), found)
    exact = edges.even @ edges.even.T + np.abs(edges.odd @ edges.odd.T)
    exact = (exact / (2 * np.outer(edges.lengths, edges.lengths))).max(axis=0)
    assert np.abs(found - exact).max() < near_duplicates.BOUND


@pytest.mark.parametrize("core", ["Prescott", "Haswell"])
def test_the_result_is_the_same_on_any_processor(drawn, tmp_path, run_python, core):
    """OpenBLAS sums in another order on each; NumPy is told to do without wide registers."""
    np.save(tmp_path / "thumbnails.npy", drawn[2])
    code = (
        "import sys, numpy as np\n"
        "from ferpipe.splitting import near_duplicates\n"
        "thumbnails = np.load(sys.argv[1])\n"
        "splits = ['train', 'val', 'test'] * (len(thumbnails) // 3)\n"
        "print(near_duplicates.closest(thumbnails, splits).to_csv())"
    )
    other = run_python(
        *("-c", code, tmp_path / "thumbnails.npy"),
        OPENBLAS_CORETYPE=core,
        OPENBLAS_NUM_THREADS="1",
        NPY_DISABLE_CPU_FEATURES="AVX2 FMA3" if core == "Prescott" else "",
    )
    here = near_duplicates.closest(drawn[2], ["train", "val", "test"] * (len(drawn[2]) // 3))
    assert other.stdout == f"{here.to_csv()}\n"


def test_memory_does_not_grow_with_the_square_of_the_images(monkeypatch):
    for name in ("BLOCK", "ROWS", "CHUNK"):
        monkeypatch.setattr(near_duplicates, name, 100)

    def peak(count):
        thumbnails = random_thumbnails(count)
        tracemalloc.start()
        near_duplicates.closest(thumbnails, ["train", "test"] * (count // 2))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # allocations of imports and caches
    assert peak(4000) < 2.2 * peak(2000)
