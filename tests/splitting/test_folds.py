from collections import Counter
from pathlib import Path

import pytest
from faces import dataset, encoded, noise, png, write_folder

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import folds
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.split import Split
from ferpipe.sources.intake import repacking
from ferpipe.splitting import folds
from ferpipe.splitting.assign import Row

PATHS = [
    f"{label}/S{subject:03}_001_{frame:08}.png"
    for label in ("anger", "happy")
    for subject in range(1, 23)
    for frame in (1, 2)
]


@pytest.fixture
def params(values):
    """The committed section `split` with some keys changed."""

    def changed(**changes):
        return Split(**values["split"] | {"val_size": 0.1} | changes)

    return changed


def test_every_image_is_test_in_exactly_one_fold(params):
    tests = Counter(
        row.path
        for fold in range(folds.FOLDS)
        for row in folds.deal(PATHS, params(), 1, fold)
        if row.split == "test"
    )
    assert tests == Counter(PATHS)


def test_nobody_in_test_or_val_is_in_train(params):
    for fold in range(folds.FOLDS):
        rows = folds.deal(PATHS, params(), 2, fold)
        train, held_out = (
            {row.subject for row in rows if (row.split == "train") is wanted}
            for wanted in (True, False)
        )
        assert not train & held_out


def test_the_seed_replaces_that_of_split_and_the_folds_those_of_split(params):
    dealt = folds.deal(PATHS, params(), 5, 3)
    assert folds.deal(PATHS, params(seed=9, folds=4, fold=1, test_size=0.3), 5, 3) == dealt
    assert folds.deal(PATHS, params(), 6, 3) != dealt


def test_the_same_image_is_in_one_split_of_every_fold(params):
    repeats = {PATHS[40]: PATHS[0], PATHS[21]: PATHS[3], PATHS[80]: PATHS[60]}
    for group_by in ("none", "subject"):
        for fold in range(folds.FOLDS):
            rows = folds.deal(PATHS, params(group_by=group_by), 1, fold, repeats)
            part = {row.path: row.split for row in rows}
            assert all(part[path] == part[first] for path, first in repeats.items())


def test_images_that_are_there_twice_are_found_by_their_pixels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = {"a/1.png": png(1), "a/2.bmp": encoded(noise(1), "BMP"), "b/3.png": png(3)}
    repacking.repack(write_folder(tmp_path / "source", tree), paths.IMAGES, None, 0.0)
    assert folds.repeats(list(tree)) == {"a/2.bmp": "a/1.png"}


def test_a_val_size_that_leaves_nothing_to_train_on_is_told_in_a_line(params):
    with pytest.raises(PipelineError, match=r"split: test \(0\.1\) and val_size \(0\.9\) should"):
        folds.deal(PATHS, params(val_size=0.9, test_size=0.01), 1, 0)


def test_a_fold_that_there_is_not_is_told_in_a_line(params):
    with pytest.raises(PipelineError, match="fold = 10 should be below folds = 10"):
        folds.deal(PATHS, params(), 1, 10)


def test_images_are_decoded_into_their_splits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write_folder(tmp_path / "source", dataset(per_class=3))
    contents = repacking.repack(source, paths.IMAGES, None, 0.0)
    splits = ("train", "val", "test") * 2
    rows = [
        Row(image.path, image.label, "", "", name)
        for image, name in zip(contents.images, splits, strict=True)
    ]
    preprocess = Preprocess(image_size=8, color="grayscale", shard_size=2)
    schema, parts = folds.decode(rows, preprocess, 1, Path("reports/it.csv"))
    assert schema.classes == ["angry", "happy"]
    assert schema.images == {"train": 2, "val": 2, "test": 2}
    for name, part in parts.items():
        assert part.paths == [row.path for row in rows if row.split == name]
        assert part.images.shape == (2, 8, 8, 1)
        assert list(part.labels) == [0, 1]


def test_the_predictions_have_a_file_a_fold_and_a_column_a_class():
    assert folds.predictions_path(3, 7).as_posix() == ("reports/cv/predictions/seed-3-fold-7.csv")
    assert folds.predictions_header(["a", "b"]) == (
        *("path", "split", "actual", "predicted"),
        *("p_a", "p_b"),
    )
