import re

import numpy as np
import pytest
from faces import noise

from ferpipe.core.errors import PipelineError
from ferpipe.data import thumbnails
from ferpipe.data.thumbnails import SIDE

DAMAGED = " is damaged; run `dvc repro --force`"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thumbnails.npy"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_is_written_reads_back(path, mode):
    made = [thumbnails.thumbnail(noise(n, 40, 30, mode)) for n in range(3)]
    thumbnails.write(path, made)
    found = thumbnails.read(path, 3)
    assert (found.dtype, found.shape) == (np.uint8, (3, SIDE, SIDE))
    assert np.array_equal(found, made)


def test_a_thumbnail_shows_the_image():
    image = noise(1, 8, 8).resize((4 * SIDE, 4 * SIDE))
    means = np.asarray(image, float).reshape(SIDE, 4, SIDE, 4).mean(axis=(1, 3))
    shown = thumbnails.thumbnail(image)
    assert np.corrcoef(shown.ravel(), means.ravel())[0, 1] > 0.98


def test_the_same_thumbnails_give_the_same_bytes(path):
    written = set()
    for _ in range(2):
        thumbnails.write(path, [thumbnails.thumbnail(noise(1))])
        written.add(path.read_bytes())
    assert len(written) == 1


def saved(array):
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (lambda path: None, " is missing; run `dvc repro`, which makes it"),
        (lambda path: path.write_bytes(b""), DAMAGED),
        (lambda path: path.write_bytes(b"\x93NUMPY\1\0v"), DAMAGED),
        (lambda path: path.write_text("a,b"), DAMAGED),
        (saved(np.zeros((2, SIDE, SIDE))), DAMAGED),
        (saved(np.array([None], object)), DAMAGED),
        (saved(np.zeros((3, SIDE, SIDE), np.uint8)), " has the shape (3, 12, 12), not that of 2"),
        (saved(np.zeros((2, SIDE), np.uint8)), " has the shape (2, 12), not that of 2 thumbnails"),
    ],
    ids=["missing", "empty", "header cut", "text", "floats", "objects", "too many", "flat"],
)
def test_another_file_is_an_error_that_names_it(path, write, fault):
    write(path)
    with pytest.raises(PipelineError, match=re.escape(f"{path}{fault}")):
        thumbnails.read(path, 2)


@pytest.mark.parametrize("left", [1, 50, -1])
def test_a_file_that_is_cut_short_is_damaged(path, left):
    thumbnails.write(path, [thumbnails.thumbnail(noise(n)) for n in range(3)])
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(PipelineError, match=re.escape(DAMAGED)):
        thumbnails.read(path, 3)


def test_a_zip_of_arrays_is_damaged(path):
    with path.open("wb") as file:
        np.savez(file, a=[1])
    with pytest.raises(PipelineError, match=re.escape(DAMAGED)):
        thumbnails.read(path, 1)
