import dataclasses

import numpy as np
import pytest

from ferpipe.evaluation import cross_validation, intervals, metrics
from ferpipe.evaluation.cross_validation import Scores
from ferpipe.evaluation.intervals import wilson
from ferpipe.params.cv import CrossValidation
from ferpipe.params.split import Split
from ferpipe.stages import cv_summary

CLASSES = ["anger", "happy"]
SUPPORT = [6, 4]
# Two seeds of ten images: 9 and 7 right; the baseline 8 and 8.
NETWORK = Scores({1: 0.9, 2: 0.7}, 0.1, np.array([[10, 2], [2, 6]]), np.array([2] * 7 + [1, 1, 0]))
BASELINE = Scores({1: 0.8, 2: 0.8}, 0.05, np.array([[9, 3], [1, 7]]), np.array([2] * 6 + [1] * 4))


def summary(val_accuracy=0.75, selected_on_test=False):
    return cross_validation.summarise(
        NETWORK, BASELINE, val_accuracy, 10, 0.95, selected_on_test=selected_on_test
    )


def per_class(selected_on="val"):
    return cross_validation.per_class(NETWORK, BASELINE, SUPPORT, CLASSES, selected_on, 0.95)


def test_the_headline_metrics_are_those_counted_by_hand():
    found = summary()
    assert found["accuracy"] == pytest.approx(0.8)
    assert (found["accuracy_worst_seed"], found["accuracy_best_seed"]) == (0.7, 0.9)
    assert found["macro_f1"] == pytest.approx((20 / 24 + 12 / 16) / 2)
    assert found["baseline_accuracy"] == pytest.approx(0.8)
    assert found["baseline_macro_f1"] == pytest.approx((18 / 22 + 14 / 18) / 2)
    assert (found["val_accuracy"], found["selected_on_test"]) == (0.75, False)
    assert (found["images"], found["folds"], found["seeds"]) == (10, 10, 2)


def test_an_image_counts_once_in_the_intervals_however_many_seeds_there_are():
    found = summary()
    bounds = (found["accuracy_low"], found["accuracy_high"])
    assert bounds == pytest.approx(wilson(8, 10, 0.95))
    assert found["interval"] == "Wilson over images"
    assert (found["macro_f1_low"], found["macro_f1_high"]) == (None, None)
    assert found["people"] is None
    row = per_class()[0]
    assert (row["class"], row["support"], row["people"]) == ("anger", 6, None)
    assert (row["recall"], row["baseline_recall"]) == (pytest.approx(10 / 12), 9 / 12)
    assert (row["recall_low"], row["recall_high"]) == pytest.approx(wilson(5, 6, 0.95))
    bounds = (row["baseline_recall_low"], row["baseline_recall_high"])
    assert bounds == pytest.approx(wilson(4.5, 6, 0.95))
    assert (row["interval"], row["baseline_interval"]) == ("Wilson over images",) * 2


def test_where_subjects_are_known_the_interval_is_over_them_however_many_seeds_there_are():
    # Eight people, whose images were each tested by two seeds.
    once = np.array([[[2, 0], [0, 1]], [[1, 1], [0, 1]], [[1, 0], [1, 0]], [[1, 0], [0, 1]]] * 2)
    network = dataclasses.replace(NETWORK, by_subject=2 * once)
    baseline = dataclasses.replace(BASELINE, by_subject=2 * once[:, ::-1])
    found = cross_validation.summarise(network, baseline, 0.75, 10, 0.95, selected_on_test=False)
    of_one_seed = intervals.bootstrap(once, metrics.accuracy, 0.95)
    assert (found["accuracy_low"], found["accuracy_high"]) == (of_one_seed.low, of_one_seed.high)
    of_f1 = intervals.bootstrap(once, metrics.macro_f1, 0.95)
    assert (found["macro_f1_low"], found["macro_f1_high"]) == (of_f1.low, of_f1.high)
    assert (found["interval"], found["people"]) == ("bootstrap over subjects", 8)
    # Recalls, of network and baseline.
    rows = cross_validation.per_class(network, baseline, SUPPORT, CLASSES, "val", 0.95)
    for scores, prefix in ((network, ""), (baseline, "baseline_")):
        of_recalls = intervals.bootstrap_shares(
            np.diagonal(scores.by_subject, axis1=1, axis2=2), scores.by_subject.sum(axis=2), 0.95
        )
        for row, interval in zip(rows, of_recalls, strict=True):
            bounds = (row[f"{prefix}recall_low"], row[f"{prefix}recall_high"])
            assert bounds == (interval.low, interval.high)
            assert row[f"{prefix}interval"] == interval.method
            assert row["people"] == interval.people == 8


def test_network_and_baseline_are_tested_over_people_with_all_seeds_together():
    right = np.array([4, 4, 4, 3, 1])
    network, baseline = (
        dataclasses.replace(
            scores, by_subject=np.array([[[hits, 4 - hits], [0, 0]] for hits in each])
        )
        for scores, each in ((NETWORK, right), (BASELINE, np.array([2, 2, 2, 3, 2])))
    )
    test = cross_validation.compare(network, baseline)
    # Balances 2, 2, 2, 0 and -1 sum to 5; of 16 signs of the others 2 reach 5 or 7, 2 -5 or -7.
    assert test.p_value == pytest.approx(4 / 16)
    assert test.method == "exact sign-flip test over 5 people"


def test_where_people_are_not_known_an_image_is_a_trial_with_all_its_seeds():
    test = cross_validation.compare(NETWORK, BASELINE)
    assert test.p_value == 1.0
    assert test.method == "exact sign-flip test over 10 images"
    clear = dataclasses.replace(BASELINE, by_image=np.array([1] * 7 + [1, 1, 0]))
    assert cross_validation.compare(NETWORK, clear).p_value == pytest.approx(2 / 2**7)


def test_a_row_of_a_class_has_every_column():
    assert all(tuple(row) == cross_validation.PER_CLASS_HEADER for row in per_class())


def test_without_val_everything_says_that_test_has_chosen(values):
    found = summary(val_accuracy=None, selected_on_test=True)
    assert found["selected_on_test"] is True
    assert found["val_accuracy"] is None
    rows = per_class("test")
    assert {row["selected_on"] for row in rows} == {"test"}
    lines = cv_summary.text(found, rows, Split(**values["split"]), 0.95)
    assert (
        lines[0]
        == "10 images, grouped by subject; folds: 10, seeds: 2; optimistic: selected on test"
    )


def test_the_printed_table_says_what_was_reached_and_how_sure_that_is(values):
    lines = cv_summary.text(summary(), per_class(), Split(**values["split"]), 0.95)
    assert lines == [
        "10 images, grouped by subject; folds: 10, seeds: 2",
        "network    80.0%  (95% interval 49.0% to 94.3%, Wilson over images; seeds 70.0% to "
        "90.0%; SD of folds 10.0%), macro-F1 0.792",
        "baseline   80.0%  (SD of folds 5.0%), macro-F1 0.798",
        "network against baseline, all seeds together: p = 1, exact sign-flip test over 10 images",
        "",
        "recall of  images  people  network         interval  baseline",
        "anger           6       -    83.3%   43.6% to 97.0%     75.0%",
        "happy           4       -    75.0%   30.1% to 95.4%     87.5%",
        "Intervals: Wilson over images.",
    ]


def test_the_printed_table_has_the_people_of_each_interval_and_a_caution_where_they_are_few(values):
    few = summary() | {"interval": "bootstrap over subjects", "people": 12}
    rows = [
        row | {"interval": "bootstrap over subjects", "people": count}
        for row, count in zip(per_class(), (12, 9), strict=True)
    ]
    lines = cv_summary.text(few, rows, Split(**values["split"]), 0.95)
    caution = "caution: fewer than 30 people, so it may be too narrow"
    assert f"bootstrap over subjects, 12 people; {caution}; seeds" in lines[1]
    assert lines[-2] == "happy           4       9    75.0%   30.1% to 95.4%     87.5%"
    assert lines[-1] == f"Intervals: bootstrap over subjects, 9 to 12 people; {caution}."


def test_the_fingerprint_is_of_params_and_images():
    first = cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,label\n")
    assert first == cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,label\n")
    assert first != cv_summary.fingerprint({"cv": CrossValidation(seeds=[2])}, b"path,label\n")
    assert first != cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,labels\n")
