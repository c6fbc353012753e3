import numpy as np
import pytest
from networks import bars as pictures

from ferpipe.data import records
from ferpipe.evaluation import baselines, hog, intervals, significance
from ferpipe.evaluation.baselines import Predictions

TRAIN, VAL, TEST = pictures(50, seed=1), pictures(30, seed=2), pictures(31, seed=3)
NOTHING = records.Dataset(VAL.images[:0], VAL.labels[:0], [])


def test_hog_is_that_of_train_and_val_together():
    found, _ = baselines.predict([TRAIN, VAL], TEST)
    images = np.concatenate([TRAIN.images, VAL.images])
    labels = np.concatenate([TRAIN.labels, VAL.labels])
    expected = hog.fit(hog.features(images), labels)(hog.features(TEST.images))
    assert (found.predicted == expected).all()
    assert (found.learned_from, found.selected_on) == (80, "none")
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


def rows_of(labels, network, other, subjects):
    """The rows of a network of three classes and of one baseline."""
    return baselines.rows(
        Predictions("network", np.array(network), None, "val"),
        [Predictions("majority class", np.array(other), 4, "none")],
        labels=np.array(labels),
        subjects=subjects,
        classes=3,
        confidence=0.95,
    )


def test_a_row_has_the_metrics_of_its_classifier():
    labels = [0, 0, 1, 1, 2, 2]
    subjects = ["S1", "S1", "S2", "S2", "S3", "S3"]
    network, majority = rows_of(labels, [0, 0, 1, 1, 2, 0], [0] * 6, subjects)
    assert tuple(network) == tuple(majority) == baselines.HEADER
    assert network["accuracy"] == pytest.approx(5 / 6)
    assert network["macro_f1"] == pytest.approx((4 / 5 + 1 + 2 / 3) / 3)
    interval = intervals.of_accuracy(
        np.array(labels), np.array([0, 0, 1, 1, 2, 0]), subjects, 3, 0.95
    )
    assert (network["accuracy_low"], network["accuracy_high"]) == (interval.low, interval.high)
    assert (network["interval"], network["people"]) == ("Wilson over subjects", 3)
    assert (network["learned_from"], network["selected_on"]) == (None, "val")
    assert (network["p_value"], network["paired_test"]) == (None, None)
    assert majority["accuracy"] == pytest.approx(1 / 3)
    assert (majority["learned_from"], majority["selected_on"]) == (4, "none")
    assert {row["images"] for row in (network, majority)} == {6}


def test_a_baseline_is_tested_over_people_where_they_are_known():
    """The network wins two images of each of four people and loses one of a fifth."""
    labels = [0] * 10
    network = [0] * 8 + [1, 0]
    other = [1] * 8 + [0, 0]
    people = [f"S{number // 2}" for number in range(10)]
    _, row = rows_of(labels, network, other, people)
    assert row["paired_test"] == "exact sign-flip test over 5 people"
    # Balances 2, 2, 2, 2 and -1 sum to 7; with other signs 7 or 9 are reached by two of 32, and
    # -7 or -9 by two more.
    assert row["p_value"] == pytest.approx(4 / 32)


@pytest.mark.parametrize("subjects", [(), ["S1"] * 9 + [""]])
def test_a_baseline_is_tested_over_images_where_people_are_not_known(subjects):
    _, row = rows_of([0] * 10, [0] * 8 + [1, 0], [1] * 8 + [0, 0], subjects)
    assert row["paired_test"] == "McNemar's exact test over 10 images"
    assert row["p_value"] == pytest.approx(significance.mcnemar(1, 8))


def test_the_printed_lines_stand_below_each_other_and_end_with_the_tests():
    labels, subjects = np.arange(60) % 3, [f"S{number // 6}" for number in range(60)]
    network, other = labels.copy(), np.zeros(60, int)
    network[:3] = 0
    rows = rows_of(labels, network, other, subjects)
    first, second, test = baselines.lines(rows)
    assert first.startswith("network          96.7%  (")
    assert first.endswith("%, bootstrap over subjects, 10 people), macro-F1 0.967")
    assert second.startswith("majority class   33.3%  (")
    assert second.endswith("%, Wilson over subjects, 10 people), macro-F1 0.167")
    assert test == (
        "network against majority class: p = 0.002, exact sign-flip test over 10 people"
    )
