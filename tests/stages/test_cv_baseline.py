import dataclasses

import numpy as np
import pytest
from networks import bars
from record_files import stored
from splits import assign_folds

from ferpipe.core import paths
from ferpipe.evaluation import hog
from ferpipe.params.split import Split
from ferpipe.stages import cv_baseline

IMAGES = bars(60, seed=1)


@pytest.fixture
def folds(values):
    """The folds of some seeds."""
    params = Split(**values["split"] | {"group_by": "none", "val_size": 0.1})
    return lambda *seeds: {seed: assign_folds(IMAGES.paths, params, seed) for seed in seeds}


def predict(fold_tables, images=IMAGES):
    table = cv_baseline.predict(images, ["c0", "c1", "c2"], fold_tables)
    return table, (table["actual"] == table["predicted"]).mean()


def test_each_seed_predicts_every_image_once_with_the_folds_of_the_network(folds):
    table, accuracy = predict(folds(1, 4))
    assert list(table) == list(paths.CV_BASELINE_COLUMNS)
    assert accuracy == 1
    assert (table["actual"] == table["path"].str[:2]).all()
    assert table[["seed", "fold", "path"]].values.tolist() == [
        [seed, fold, path]
        for seed, one in folds(1, 4).items()
        for fold in range(10)
        for path, split in zip(IMAGES.paths, one[f"fold_{fold}"], strict=True)
        if split == "test"
    ]
    assert not table.duplicated(["seed", "path"]).any()


def test_features_that_do_not_fit_in_memory_are_computed_for_each_fold(folds, tmp_path):
    table, _ = predict(folds(2))
    split = stored(tmp_path, IMAGES)
    one_at_a_time = cv_baseline.predict(split, ["c0", "c1", "c2"], folds(2), memory_mb=0)
    assert one_at_a_time.equals(table)


def test_it_learns_from_a_subsample_of_many_images(folds, monkeypatch):
    sizes = []
    fit = hog.fit
    monkeypatch.setattr(hog, "MOST_IMAGES", 12)
    monkeypatch.setattr(hog, "fit", lambda rows, y: sizes.append(len(rows)) or fit(rows, y))
    assert predict(folds(1))[1] > 0.9
    assert set(sizes) == {12}


def test_what_is_test_is_not_learned(folds):
    """Noise says nothing of its class, but an image that was learned would be recognised."""
    noise = np.random.default_rng(0).integers(0, 256, IMAGES.images.shape).astype(np.uint8)
    assert predict(folds(1), dataclasses.replace(IMAGES, images=noise))[1] < 0.6


def test_what_is_in_no_fold_is_neither_learned_nor_predicted(folds, monkeypatch):
    (table,) = folds(1).values()
    names = [name for name in table if name.startswith("fold_")]
    table.loc[::2, names] = ""
    sizes = []
    fit = hog.fit
    monkeypatch.setattr(hog, "fit", lambda rows, y: sizes.append(len(rows)) or fit(rows, y))
    predicted, _ = predict({1: table})
    assert sorted(predicted["path"]) == sorted(IMAGES.paths[1::2])
    assert sum(sizes) == 9 * 30
