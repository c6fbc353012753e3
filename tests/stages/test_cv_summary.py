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
NETWORK = Scores({1: 0.9, 2: 0.7}, 0.1, np.array([[10, 2], [2, 6]]))
BASELINE = Scores({1: 0.8, 2: 0.8}, 0.05, np.array([[9, 3], [1, 7]]))


def numbers(val_accuracy=0.75, chosen_on_test=False):
    return cross_validation.summarise(
        NETWORK, BASELINE, val_accuracy, 10, 0.95, chosen_on_test=chosen_on_test
    )


def per_class(chosen_on="val"):
    return cross_validation.per_class(NETWORK, BASELINE, SUPPORT, CLASSES, chosen_on, 0.95)


def test_the_headline_numbers_are_those_counted_by_hand():
    found = numbers()
    assert found["accuracy"] == pytest.approx(0.8)
    assert (found["accuracy_worst_seed"], found["accuracy_best_seed"]) == (0.7, 0.9)
    assert found["macro_f1"] == pytest.approx((20 / 24 + 12 / 16) / 2)
    assert found["baseline_accuracy"] == pytest.approx(0.8)
    assert found["baseline_macro_f1"] == pytest.approx((18 / 22 + 14 / 18) / 2)
    assert (found["val_accuracy"], found["chosen_on_test"]) == (0.75, False)
    assert (found["images"], found["folds"], found["seeds"]) == (10, 10, 2)


def test_an_image_counts_once_in_the_intervals_however_many_seeds_there_are():
    found = numbers()
    bounds = (found["accuracy_low"], found["accuracy_high"])
    assert bounds == pytest.approx(wilson(8, 10, 0.95))
    assert found["interval"] == "Wilson over images"
    assert (found["macro_f1_low"], found["macro_f1_high"]) == (None, None)
    name, _, recall, low, high, _, support, _, bar, bar_low, bar_high = per_class()[0]
    assert (name, support) == ("anger", 6)
    assert (recall, bar) == (pytest.approx(10 / 12), 9 / 12)
    assert (low, high) == pytest.approx(wilson(5, 6, 0.95))
    assert (bar_low, bar_high) == pytest.approx(wilson(4.5, 6, 0.95))


def test_where_subjects_are_known_the_interval_is_over_them_however_many_seeds_there_are():
    # Of four people, whose images were each judged by two seeds.
    once = np.array([[[2, 0], [0, 1]], [[1, 1], [0, 1]], [[1, 0], [1, 0]], [[1, 0], [0, 1]]])
    by_subject = 2 * once
    network = dataclasses.replace(NETWORK, by_subject=by_subject)
    found = cross_validation.summarise(network, BASELINE, 0.75, 10, 0.95, chosen_on_test=False)
    of_one_seed = intervals.bootstrap(once, metrics.accuracy, 0.95)
    assert (found["accuracy_low"], found["accuracy_high"]) == (of_one_seed.low, of_one_seed.high)
    of_f1 = intervals.bootstrap(once, metrics.macro_f1, 0.95)
    assert (found["macro_f1_low"], found["macro_f1_high"]) == (of_f1.low, of_f1.high)
    assert found["interval"] == "bootstrap over subjects"


def test_a_row_of_a_class_has_every_column():
    assert all(len(row) == len(cross_validation.PER_CLASS_HEADER) for row in per_class())


def test_without_val_everything_says_that_test_has_chosen(values):
    found = numbers(val_accuracy=None, chosen_on_test=True)
    assert found["chosen_on_test"] is True
    assert found["val_accuracy"] is None
    rows = per_class("test")
    assert {row[cross_validation.PER_CLASS_HEADER.index("chosen_on")] for row in rows} == {"test"}
    lines = cv_summary.text(found, rows, Split(**values["split"]), 0.95)
    assert (
        lines[0]
        == "10 images, grouped by subject; folds: 10, seeds: 2; optimistic: selected on test"
    )


def test_the_printed_table_says_what_was_reached_and_how_sure_that_is(values):
    lines = cv_summary.text(numbers(), per_class(), Split(**values["split"]), 0.95)
    assert lines == [
        "10 images, grouped by subject; folds: 10, seeds: 2",
        "network    80.0%  (95% interval 49.0% to 94.3%, Wilson over images; seeds 70.0% to "
        "90.0%; SD of folds 10.0%), macro-F1 0.792",
        "baseline   80.0%  (SD of folds 5.0%), macro-F1 0.798",
        "",
        "recall of  images  network         interval  baseline",
        "anger           6    83.3%   43.6% to 97.0%     75.0%",
        "happy           4    75.0%   30.1% to 95.4%     87.5%",
    ]


def test_the_fingerprint_is_of_params_and_images():
    first = cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,label\n")
    assert first == cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,label\n")
    assert first != cv_summary.fingerprint({"cv": CrossValidation(seeds=[2])}, b"path,label\n")
    assert first != cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,labels\n")
