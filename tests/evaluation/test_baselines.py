import numpy as np
import pytest
from networks import bars as pictures

from ferpipe.data import records
from ferpipe.evaluation import baselines, hog, intervals, metrics
from ferpipe.evaluation.baselines import Judged

TRAIN, VAL, TEST = pictures(50, seed=1), pictures(30, seed=2), pictures(31, seed=3)
NOTHING = records.Dataset(VAL.images[:0], VAL.labels[:0], [])


def test_hog_is_that_of_train_and_val_together():
    found, _ = baselines.predict([TRAIN, VAL], TEST)
    images = np.concatenate([TRAIN.images, VAL.images])
    labels = np.concatenate([TRAIN.labels, VAL.labels])
    expected = hog.fit(hog.features(images), labels)(hog.features(TEST.images))
    assert (found.predicted == expected).all()
    assert (found.learned_from, found.chosen_on) == (80, "none")
    assert (found.predicted == TEST.labels).all()


def test_the_majority_is_that_of_what_was_learned_from_and_not_of_test():
    labels = np.array([2] * 20 + [1] * 30, np.int32)
    train = records.Dataset(TRAIN.images, labels, TRAIN.paths)
    assert (baselines.predict([train, NOTHING], TEST)[1].predicted == 1).all()
    val = records.Dataset(VAL.images, np.full(30, 2, np.int32), VAL.paths)
    _, found = baselines.predict([train, val], TEST)
    assert (found.predicted == 2).all()
    assert len(found.predicted) == 31
    assert found.learned_from == 80


def test_of_too_many_images_the_same_few_are_drawn_each_time(monkeypatch):
    monkeypatch.setattr(hog, "MOST_IMAGES", 12)
    (first, majority), (again, _) = (baselines.predict([TRAIN, VAL], TEST) for _ in range(2))
    assert (first.learned_from, majority.learned_from) == (12, 80)
    assert (first.predicted == again.predicted).all()


def test_a_row_has_the_numbers_of_its_classifier():
    labels = np.array([0, 0, 1, 1, 2, 2])
    judged = [
        Judged("network", np.array([0, 0, 1, 1, 2, 0]), None, "val"),
        Judged("majority class", np.zeros(6, int), 4, "none"),
    ]
    subjects = ["S1", "S1", "S2", "S2", "S3", "S3"]
    network, majority = (
        dict(zip(baselines.HEADER, row, strict=True))
        for row in baselines.rows(judged, labels, subjects, 3, 0.95)
    )
    assert network["accuracy"] == pytest.approx(5 / 6)
    assert network["macro_f1"] == pytest.approx((4 / 5 + 1 + 2 / 3) / 3)
    counts = metrics.by_subject(labels, judged[0].predicted, subjects, 3)
    interval = intervals.bootstrap(counts, metrics.accuracy, 0.95)
    assert (network["accuracy_low"], network["accuracy_high"]) == (interval.low, interval.high)
    assert (network["learned_from"], network["chosen_on"]) == ("", "val")
    assert majority["accuracy"] == pytest.approx(1 / 3)
    assert (majority["learned_from"], majority["chosen_on"]) == (4, "none")
    assert {row["images"] for row in (network, majority)} == {6}


def test_the_printed_lines_stand_below_each_other():
    table = [("network", 0.984, 0.954, 0.99, 0.98, 5, "", "val"), ("HOG", 1.0, 0.9, 1.0, 1.0, 5, 9)]
    assert baselines.lines(table) == [
        "network   98.4%  (95.4% to 99.0%), macro-F1 0.980",
        "HOG      100.0%  (90.0% to 100.0%), macro-F1 1.000",
    ]
