from dataclasses import replace

import numpy as np
import pytest
from networks import bars

from ferpipe.evaluation import baselines, hog, metrics, significance
from ferpipe.evaluation.result import Result

TRAIN, VAL, TEST = bars(50, seed=1), bars(30, seed=2), bars(31, seed=3)


def test_hog_learns_from_train_and_val_together():
    hog_baseline, _ = baselines.predict([TRAIN, VAL], TEST)
    assert (hog_baseline.predicted == TEST.labels).all()
    assert (hog_baseline.learned_from, hog_baseline.selected_on) == (80, "none")


def test_the_majority_is_that_of_what_was_learned_from_and_not_of_test():
    train = replace(TRAIN, labels=np.array([2] * 20 + [1] * 30, np.int32))
    _, majority = baselines.predict([train, VAL.take(np.arange(0))], TEST)
    assert majority.predicted.tolist() == [1] * 31
    _, majority = baselines.predict([train, replace(VAL, labels=np.full(30, 2, np.int32))], TEST)
    assert majority.predicted.tolist() == [2] * 31
    assert majority.learned_from == 80


def test_hog_learns_from_a_subsample_of_too_many_images(monkeypatch):
    monkeypatch.setattr(hog, "MOST_IMAGES", 12)
    assert [one.learned_from for one in baselines.predict([TRAIN, VAL], TEST)] == [12, 80]


def compare(labels, network, other, subjects):
    """The table of a network of three classes and of one baseline."""
    paths = [f"{number}.png" for number in range(len(labels))]
    result = Result(["a", "b", "c"], paths, np.array(labels), np.eye(3)[network], False, subjects)
    other = baselines.Predictions("majority class", np.array(other), 4, "none")
    return baselines.compare(result, [other], 0.95)


def test_a_row_has_the_metrics_of_its_classifier():
    labels, guesses = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 0])
    subjects = ["S1", "S1", "S2", "S2", "S3", "S3"]
    table = compare(labels, guesses, [0] * 6, subjects)
    interval = metrics.Confusions.count(labels, guesses, 3, subjects).accuracy_interval(0.95)
    assert table.iloc[0].dropna().to_dict() == {
        **{"classifier": "network", "images": 6, "selected_on": "val"},
        "accuracy": pytest.approx(5 / 6),
        **interval.columns("accuracy"),
        "macro_f1": pytest.approx((4 / 5 + 1 + 2 / 3) / 3),
    }
    assert table.loc[1, ["learned_from", "selected_on"]].tolist() == [4, "none"]


# The network wins eight images and loses one: two of each of four people, and one of a fifth.
@pytest.mark.parametrize(
    ("subjects", "p_value", "test"),
    [
        # Balances 2, 2, 2, 2 and -1 sum to 7; with other signs 7 or 9 are reached by two of 32, and
        # -7 or -9 by two more.
        ([f"S{index // 2}" for index in range(10)], 4 / 32, "exact sign-flip test over 5 people"),
        ((), significance.mcnemar(1, 8), "McNemar's exact test over 10 images"),
        (["S1"] * 9 + [""], significance.mcnemar(1, 8), "McNemar's exact test over 10 images"),
    ],
    ids=["people", "no subjects", "one subject missing"],
)
def test_a_baseline_is_tested_over_people_where_they_are_known(subjects, p_value, test):
    row = compare([0] * 10, [0] * 8 + [1, 0], [1] * 8 + [0, 0], subjects).iloc[1]
    assert row["paired_test"] == test
    assert row["p_value"] == pytest.approx(p_value)


def test_the_printed_lines_are_aligned_and_end_with_the_tests():
    labels, subjects = np.arange(60) % 3, [f"S{index // 6}" for index in range(60)]
    network = np.where(np.arange(60) < 3, 0, labels)
    first, second, test = baselines.lines(compare(labels, network, np.zeros(60, int), subjects))
    assert first.startswith("network          96.7%  (")
    assert first.endswith("%, bootstrap over subjects, 10 people), macro-F1 0.967")
    assert second.startswith("majority class   33.3%  (")
    assert second.endswith("%, Wilson over subjects, 10 people), macro-F1 0.167")
    assert test == "network against majority class: p = 0.002, exact sign-flip test over 10 people"
