import dataclasses

import numpy as np
import pytest
from networks import bars

from ferpipe.evaluation import hog
from ferpipe.params.split import Split
from ferpipe.splitting.assign_folds import assign_folds
from ferpipe.stages import cv_baseline

IMAGES = bars(60, seed=1)


@pytest.fixture
def predict(values):
    """The predictions of the images with the folds of some seeds, and those folds."""
    params = Split(**values["split"] | {"group_by": "none", "val_size": 0.1})

    def predict(*seeds, images=IMAGES):
        tables = {seed: assign_folds(images.paths, params, seed) for seed in seeds}
        return list(cv_baseline.predict(images, ["c0", "c1", "c2"], tables)), tables

    return predict


def accuracy(rows):
    return np.mean([actual == predicted for *_, actual, predicted in rows])


def test_each_seed_predicts_every_image_once_with_the_folds_of_the_network(predict):
    rows, tables = predict(1, 4)
    assert all(path.startswith(actual) for _, _, path, actual, _ in rows)
    assert accuracy(rows) == 1
    assert [row[:3] for row in rows] == [
        (seed, fold, path)
        for seed, table in tables.items()
        for fold, splits in enumerate(table.splits)
        for path, split in zip(IMAGES.paths, splits, strict=True)
        if split == "test"
    ]
    assert len({row[::2] for row in rows}) == len(rows)


def test_of_many_images_it_learns_from_a_subsample(predict, monkeypatch):
    sizes = []
    fit = hog.fit
    monkeypatch.setattr(hog, "MOST_IMAGES", 12)
    monkeypatch.setattr(
        hog, "fit", lambda rows, labels: sizes.append(len(rows)) or fit(rows, labels)
    )
    rows, _ = predict(1)
    assert set(sizes) == {12}
    assert accuracy(rows) > 0.9


def test_what_is_test_is_not_learned(predict):
    """Noise says nothing of its class, but an image that was learned would be recognised."""
    noise = np.random.default_rng(0).integers(0, 256, IMAGES.images.shape).astype(np.uint8)
    rows, _ = predict(1, images=dataclasses.replace(IMAGES, images=noise))
    assert accuracy(rows) < 0.6
