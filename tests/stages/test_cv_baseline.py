import dataclasses

import numpy as np
import pytest
from networks import bars

from ferpipe.data import folds
from ferpipe.params.split import Split
from ferpipe.splitting import folds
from ferpipe.stages import cv_baseline

CLASSES = ["c0", "c1", "c2"]


@pytest.fixture
def params(values):
    return Split(**values["split"] | {"group_by": "none", "val_size": 0.1})


@pytest.fixture(scope="module")
def images():
    return bars(60, seed=1)


def test_each_seed_predicts_every_image_once_with_the_folds_of_the_network(images, params):
    rows = list(cv_baseline.predict(images, CLASSES, params, [1, 4]))
    for seed in (1, 4):
        of_seed = [row for row in rows if row[0] == seed]
        assert sorted(row[2] for row in of_seed) == sorted(images.paths)
        for fold in range(folds.FOLDS):
            dealt = folds.deal(images.paths, params, seed, fold)
            tests = [row.path for row in dealt if row.split == "test"]
            assert [row[2] for row in of_seed if row[1] == fold] == tests


def test_it_tells_the_class_that_was_there_and_finds_it(images, params):
    rows = list(cv_baseline.predict(images, CLASSES, params, [1]))
    assert all(path.startswith(actual) for _, _, path, actual, _ in rows)
    assert all(actual == predicted for *_, actual, predicted in rows)


def test_what_is_test_is_not_learned(images, params):
    """Noise tells nothing of its class, but an image that was learned would be recognised."""
    noise = np.random.default_rng(0).integers(0, 256, images.images.shape).astype(np.uint8)
    rows = list(
        cv_baseline.predict(dataclasses.replace(images, images=noise), CLASSES, params, [1])
    )
    assert sum(actual == predicted for *_, actual, predicted in rows) < 0.6 * len(rows)
