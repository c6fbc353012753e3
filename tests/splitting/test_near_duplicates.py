import io
import re
import time
import tracemalloc

import numpy as np
import pytest
from faces import encoded, noise, png, write_folder
from PIL import Image, ImageOps

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import CLOSEST_PAIRS_COLUMNS, IMAGES
from ferpipe.sources.intake import repacking
from ferpipe.sources.sample.people import PROTOTYPES, draw_subject
from ferpipe.splitting import audit, near_duplicates

CLASSES = list(PROTOTYPES)


@pytest.fixture
def looked(tmp_path, monkeypatch):
    """Write the archive of a tree and look at it; returns paths and looks."""
    monkeypatch.chdir(tmp_path)

    def look(tree):
        source = write_folder(tmp_path / "source", tree)
        contents = repacking.repack(source, IMAGES, None, 0.0)
        paths = [image.path for image in contents.images]
        return paths, near_duplicates.fingerprints(IMAGES, paths)

    return look


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


def tiny(pixels):
    """An image of one class or another as a PNG."""
    return encoded(Image.fromarray(pixels))


# The same image twice


def test_an_image_in_another_file_format_is_the_same_image(looked):
    image = noise(1)
    tree = {
        "a/1.png": encoded(image),
        "a/2.bmp": encoded(image, "BMP"),
        "a/3.png": encoded(image.convert("RGB")),
        "a/4.png": encoded(image.convert("RGBA")),
        "a/5.png": png(2),
        "b/6.png": png(3),
    }
    paths, looks = looked(tree)
    found = near_duplicates.repeats(paths, looks.digests)
    assert found == {"a/2.bmp": "a/1.png", "a/3.png": "a/1.png", "a/4.png": "a/1.png"}


def test_the_same_pixels_in_another_shape_are_another_image(looked):
    image = noise(1, width=6, height=8)
    other = Image.frombytes("L", (8, 6), image.tobytes())
    tree = {"a/1.png": encoded(image), "a/2.png": encoded(other), "b/3.png": png(3)}
    paths, looks = looked(tree)
    assert near_duplicates.repeats(paths, looks.digests) == {}


def test_one_pixel_by_one_tone_makes_another_image(looked):
    pixels = np.array(noise(1))
    pixels[0, 0] ^= 1
    tree = {"a/1.png": png(1), "a/2.png": tiny(pixels), "b/3.png": png(3)}
    paths, looks = looked(tree)
    assert near_duplicates.repeats(paths, looks.digests) == {}


def test_the_same_image_with_two_labels_is_an_error_that_names_both(looked):
    paths, looks = looked({"a/1.png": png(1), "a/2.png": png(2), "b/3.bmp": encoded(noise(1))})
    with pytest.raises(PipelineError) as error:
        near_duplicates.repeats(paths, looks.digests)
    assert str(error.value) == (
        "a/1.png and b/3.bmp are the same image with different labels; remove at least one of "
        "them from the source"
    )


def test_several_such_pairs_are_listed_in_a_file(looked):
    tree = {"a/1.png": png(1), "a/2.png": png(2), "b/1.png": png(1), "b/2.png": png(2)}
    paths, looks = looked(tree)
    with pytest.raises(PipelineError, match=re.escape("source; 2 such pairs are in .ferpipe/")):
        near_duplicates.repeats(paths, looks.digests)
    assert near_duplicates.CONFLICTS.read_text().splitlines() == [
        *("path,same_image_as", "b/1.png,a/1.png", "b/2.png,a/2.png")
    ]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/1.png", "a/3.png"], "data/raw/index.csv and data/raw/images.zip differ at b/2.png"),
        (["a/1.png"], "data/raw/index.csv and data/raw/images.zip differ at b/2.png"),
        (["a/1.png", "b/2.png", "b/3.png"], "data/raw/index.csv names 3 images, data/raw/images"),
    ],
)
def test_an_archive_that_is_not_that_of_the_index_is_told(looked, paths, message):
    looked({"a/1.png": png(1), "b/2.png": png(2)})
    with pytest.raises(PipelineError, match=re.escape(message)):
        near_duplicates.fingerprints(IMAGES, paths)


# What names tell


def row(split, subject, sequence):
    return {"split": split, "subject": subject, "sequence": sequence, "path": "a/1", "label": "a"}


def test_val_must_not_share_with_train_nor_test_with_either():
    rows = [
        row("train", "S1", "S1_1"),
        row("train", "S2", "S2_1"),
        row("val", "S1", "S1_1"),
        row("val", "S3", "S3_1"),
        row("test", "S2", "S2_2"),
        row("test", "S3", "S3_1"),  # val has chosen, and may have taught
        row("test", "S4", "S4_1"),
        row("test", "S5", "S5_1"),
    ]
    assert audit.share(rows, "subject") == 3 / 6
    assert audit.share(rows, "sequence") == 2 / 6


def test_a_name_that_does_not_tell_leaves_the_share_unknown():
    rows = [row("train", "S1", "S1_1"), row("test", "S1", "")]
    assert audit.share(rows, "subject") == 1.0
    assert audit.share(rows, "sequence") is None


# What pixels tell


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
    assert sorted(pair.image for pair in pairs) == list(range(40, 60))
    for pair in pairs:
        seen = thumbnails[: 40 if splits[pair.image] == "val" else 50]
        image = thumbnails[pair.image]
        straight = [correlation(image, other) for other in seen]
        mirrored = [correlation(image[:, ::-1], other) for other in seen]
        best = np.maximum(straight, mirrored)
        assert pair.closest == best.argmax()
        assert pair.similarity == pytest.approx(best.max(), abs=1e-12)
        assert pair.mirrored == (mirrored[pair.closest] > straight[pair.closest])


def test_the_nearest_pairs_come_first_and_ties_in_the_order_of_the_images():
    one = random_thumbnails(1)
    thumbnails = np.concatenate([one, one, random_thumbnails(3, seed=1), one, one])
    splits = ["train"] * 3 + ["test"] * 4
    pairs = near_duplicates.closest(thumbnails, splits)
    assert [pair.image for pair in pairs[:2]] == [5, 6]
    assert [pair.closest for pair in pairs[:2]] == [0, 0]
    similarities = [pair.similarity for pair in pairs]
    assert similarities == sorted(similarities, reverse=True)


def test_an_image_without_edges_is_near_to_nothing():
    thumbnails = random_thumbnails(4)
    thumbnails[1], thumbnails[3] = 90, 90
    pairs = near_duplicates.closest(thumbnails, ["train", "train", "test", "test"])
    assert {pair.image: pair.near for pair in pairs} == {2: False, 3: False}
    assert all(np.isfinite(pair.similarity) for pair in pairs)


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
def test_a_changed_copy_of_a_face_is_a_near_duplicate(looked, change):
    faces = [Image.fromarray(draw_subject(1, subject)[4][0]) for subject in range(1, 9)]
    tree = {f"a/{number}.png": encoded(face) for number, face in enumerate(faces)}
    paths, looks = looked(tree | {"b/8.png": encoded(change(faces[3]))})
    (pair,) = near_duplicates.closest(looks.thumbnails, ["train"] * 8 + ["test"])
    assert paths[pair.closest] == "a/3.png"
    assert pair.near


def test_on_drawn_faces_the_pixels_agree_with_the_names(drawn):
    names, thumbnails = drawn
    rng = np.random.default_rng(1)
    splits = rng.permutation(["train"] * 403 + ["test"] * 101)
    pairs = near_duplicates.closest(thumbnails, splits)
    trained = {names[image][1] for image in np.flatnonzero(splits == "train")}
    sibling = np.array([names[pair.image][1] in trained for pair in pairs])
    near = np.array([pair.near for pair in pairs])
    assert 0.9 < sibling.mean() < 1
    assert (near & sibling).sum() / near.sum() >= 0.99  # precision
    assert (near & sibling).sum() / sibling.sum() >= 0.99  # recall


def test_with_people_apart_no_drawn_face_has_a_near_duplicate(drawn):
    names, thumbnails = drawn
    splits = ["test" if int(subject[1:]) % 5 == 0 else "train" for subject, _ in names]
    assert not any(pair.near for pair in near_duplicates.closest(thumbnails, splits))


# The same everywhere, quick and small


def test_the_result_does_not_depend_on_how_the_work_is_cut(drawn, monkeypatch):
    splits = np.random.default_rng(2).permutation(["train", "val", "test"] * 168)
    whole = near_duplicates.closest(drawn[1], splits)
    monkeypatch.setattr(near_duplicates, "BLOCK", 1000)
    assert near_duplicates.closest(drawn[1], splits) == whole


@pytest.mark.parametrize("core", ["Prescott", "Haswell"])
def test_the_result_is_the_same_on_any_processor(drawn, tmp_path, run_python, core):
    """OpenBLAS sums in another order on each; NumPy is told to do without wide registers."""
    np.save(tmp_path / "thumbnails.npy", drawn[1])
    code = (
        "import sys, numpy as np\n"
        "from ferpipe.splitting import near_duplicates\n"
        "thumbnails = np.load(sys.argv[1])\n"
        "splits = ['train', 'val', 'test'] * (len(thumbnails) // 3)\n"
        "print(near_duplicates.closest(thumbnails, splits))"
    )
    features = "AVX2 FMA3" if core == "Prescott" else ""
    other = run_python(
        *("-c", code, tmp_path / "thumbnails.npy"),
        OPENBLAS_CORETYPE=core,
        OPENBLAS_NUM_THREADS="1",
        NPY_DISABLE_CPU_FEATURES=features,
    )
    here = near_duplicates.closest(drawn[1], ["train", "val", "test"] * (len(drawn[1]) // 3))
    assert other.stdout == f"{here}\n"


def test_981_images_are_audited_in_a_second_of_processor_time(looked):
    tree = {f"{CLASSES[n % 7]}/{n:03}.png": png(n, width=48, height=48) for n in range(981)}
    paths, _ = looked(tree)
    start = time.process_time()
    looks = near_duplicates.fingerprints(IMAGES, paths)
    near_duplicates.repeats(paths, looks.digests)
    near_duplicates.closest(looks.thumbnails, (["train"] * 4 + ["test"]) * 196 + ["test"])
    assert time.process_time() - start < 1


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


# The table


def test_a_row_of_the_table_says_what_the_names_tell_of_a_pair():
    rows = [
        {"path": f"{label}/{n}", "label": label, "split": split, "subject": who, "sequence": what}
        for n, (label, split, who, what) in enumerate(
            [
                ("a", "train", "S1", "S1_1"),
                ("a", "val", "S1", "S1_1"),
                ("b", "test", "S1", "S1_2"),
                ("b", "test", "S2", "S2_1"),
                ("b", "test", "", ""),
            ]
        )
    ]
    pairs = [near_duplicates.Pair(n, 0, 0.98765 - n / 10, n == 2) for n in (1, 2, 3, 4)]
    table = audit.pair_rows(pairs, rows)
    assert table[0] == (
        *("a/1", "a", "val", "a/0", "a", "train", "0.8877", "false", "false", "sequence"),
    )
    assert [line[-1] for line in table] == ["sequence", "subject", "neither", "unknown"]
    assert [line[7] for line in table] == ["false", "true", "false", "false"]
    near = audit.pair_rows([near_duplicates.Pair(1, 0, near_duplicates.NEAR, False)], rows)
    assert near[0][list(CLOSEST_PAIRS_COLUMNS).index("near_duplicate")] == "true"
