import numpy as np
import pytest
from record_files import faces, write

from ferpipe.core.errors import PipelineError
from ferpipe.data import shards
from ferpipe.data.records import read_split


@pytest.fixture
def opened(tmp_path):
    """A split of three shards that is not read into memory, and what was written."""
    written = [faces(count, seed=count) for count in (5, 5, 3)]
    images = np.concatenate([part[0] for part in written])
    paths = [path for part in written for path in part[2]]
    return read_split(tmp_path, write(tmp_path, written), "train", memory_mb=0), images, paths


@pytest.mark.parametrize(
    "rows",
    [
        *(np.array([12, 0, 5, 5, 4]), [3, -1], np.array([], int), np.arange(13) % 2 == 1),
        *(slice(None), slice(4, 11), slice(10, 99), slice(None, None, -3), 7, np.int64(-2)),
    ],
    ids=str,
)
def test_images_are_indexed_like_an_array(opened, rows):
    split, images, _ = opened
    assert np.array_equal(split.images[rows], images[rows])
    assert split.images[rows].flags.writeable
    assert (split.images.shape, split.images.nbytes) == (images.shape, images.nbytes)


def test_some_of_a_split_is_taken_without_reading_it(opened):
    split, images, paths = opened
    rows = np.array([12, 3, 3, 7])
    part = split.take(rows)
    assert not part.in_memory
    assert np.array_equal(part.images[:], images[rows])
    assert np.array_equal(part.labels, split.labels[rows])
    assert list(part.paths) == [paths[row] for row in rows]
    assert part.paths[-1] == paths[7]


def test_paths_are_read_some_at_a_time(opened, monkeypatch):
    split, _, paths = opened
    monkeypatch.setattr(shards, "CHUNK", 4)
    assert list(split.paths) == paths


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_shard_that_changes_while_it_is_used_is_an_error(opened, tmp_path, change):
    split, _, _ = opened
    path = tmp_path / "train-00001-of-00003.tfrecord"
    path.write_bytes(change(path.read_bytes()))
    assert len(split.images[:5]) == 5
    with pytest.raises(PipelineError, match=rf"{path} has changed since it was checked; run"):
        split.images[3:8]
