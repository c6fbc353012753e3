import dataclasses

import numpy as np
import pytest
from networks import bars

from ferpipe.evaluation import hog
from ferpipe.params.split import Split
from ferpipe.splitting.assign_folds import assign_folds
from ferpipe.stages import cv_baseline

CLASSES = ["c0", "c1", "c2"]


@pytest.fixture(scope="module")
def images():
    return bars(60, seed=1)


@pytest.fixture
def tables(images, values):
    """The folds of a seed."""
    params = Split(**values["split"] | {"group_by": "none", "val_size": 0.1})
    return lambda *seeds: {seed: assign_folds(images.paths, params, seed) for seed in seeds}


def test_each_seed_predicts_every_image_once_with_the_folds_of_the_network(images, tables):
    tables = tables(1, 4)
    rows = list(cv_baseline.predict(images, CLASSES, tables))
    for seed, table in tables.items():
        of_seed = [row for row in rows if row[0] == seed]
        assert sorted(row[2] for row in of_seed) == sorted(images.paths)
        for fold, splits in enumerate(table.splits):
            tests = [
                path for path, split in zip(images.paths, splits, strict=True) if split == "test"
            ]
            assert [row[2] for row in of_seed if row[1] == fold] == tests


def test_it_names_the_class_that_was_there_and_finds_it(images, tables):
    rows = list(cv_baseline.predict(images, CLASSES, tables(1)))
    assert all(path.startswith(actual) for _, _, path, actual, _ in rows)
    assert all(actual == predicted for *_, actual, predicted in rows)


def test_of_many_images_it_learns_from_a_subsample(images, tables, monkeypatch):
    monkeypatch.setattr(hog, "MOST_IMAGES", 12)
    rows = list(cv_baseline.predict(images, CLASSES, tables(1)))
    assert len(rows) == len(images.paths)
    assert sum(actual == predicted for *_, actual, predicted in rows) > 0.9 * len(rows)


def test_what_is_test_is_not_learned(images, tables):
    """Noise tells nothing of its class, but an image that was learned would be recognised."""
    noise = np.random.default_rng(0).integers(0, 256, images.images.shape).astype(np.uint8)
    rows = list(cv_baseline.predict(dataclasses.replace(images, images=noise), CLASSES, tables(1)))
    assert sum(actual == predicted for *_, actual, predicted in rows) < 0.6 * len(rows)
