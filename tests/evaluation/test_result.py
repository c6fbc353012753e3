import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.intervals import wilson
from ferpipe.evaluation.result import (
    PER_CLASS_HEADER,
    Result,
    headline,
    headline_metrics,
    per_class,
)

CLASSES = ["anger", "happy", "sadness", "surprise"]
LINE = "66.7% of 6 test images right (95% interval 30.0% to 90.3%, Wilson over images)"


def result(
    selected_on_test=False, labels=(0, 0, 0, 1, 1, 2), guesses=(0, 0, 1, 1, 1, 0), subjects=()
):
    """Six images of three classes; nothing shows surprise."""
    probabilities = np.full((len(labels), 4), 0.1)
    probabilities[np.arange(len(labels)), guesses] = 0.7
    paths = [f"{CLASSES[label]}/{number}.png" for number, label in enumerate(labels)]
    return Result(CLASSES, paths, np.array(labels), probabilities, selected_on_test, subjects)


def test_the_headline_numbers_are_those_counted_by_hand():
    numbers = headline_metrics(result(), 0.95)
    assert numbers["accuracy"] == pytest.approx(4 / 6)
    assert (numbers["accuracy_low"], numbers["accuracy_high"]) == wilson(4, 6, 0.95)
    assert (numbers["interval"], numbers["people"]) == ("Wilson over images", None)
    assert (numbers["macro_f1_low"], numbers["macro_f1_high"]) == (None, None)
    assert numbers["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    # F1: anger 2/3, happy 4/5, sadness 0; surprise has no test image and does not count.
    assert numbers["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert numbers["log_loss"] == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.1)) / 6)
    assert numbers["images"] == 6
    assert numbers["selected_on_test"] is False


def test_where_subjects_are_known_the_intervals_are_over_them():
    rng = np.random.default_rng(0)
    labels = np.arange(84) % 3
    guesses = np.where(rng.random(84) < 0.8, labels, rng.integers(0, 3, 84))
    found = result(labels=labels, guesses=guesses, subjects=[f"S{n // 12}" for n in range(84)])
    numbers = headline_metrics(found, 0.95)
    counts = metrics.by_subject(found.labels, found.predicted, found.subjects, 4)
    for name, statistic in (("accuracy", metrics.accuracy), ("macro_f1", metrics.macro_f1)):
        interval = intervals.bootstrap(counts, statistic, 0.95)
        assert (numbers[f"{name}_low"], numbers[f"{name}_high"]) == (interval.low, interval.high)
        assert interval.low < numbers[name] < interval.high
    assert (numbers["interval"], numbers["people"]) == ("bootstrap over subjects", 7)
    assert (
        "%, bootstrap over subjects, 7 people; caution: fewer than 30 people, so it may be too "
        "narrow)" in headline(numbers, 0.95)
    )
    recalls = per_class(found, 0.95)
    hits, images = (np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2))
    for row, interval in zip(recalls, intervals.bootstrap_shares(hits, images, 0.95), strict=True):
        named = dict(zip(PER_CLASS_HEADER, row, strict=True))
        assert (named["recall_low"], named["recall_high"]) == (interval.low, interval.high)
        assert (named["interval"], named["people"]) == (interval.method, interval.people)


def test_thirty_people_are_enough_to_need_no_caution():
    labels, subjects = np.arange(90) % 3, [f"S{n // 3}" for n in range(90)]
    found = result(labels=labels, guesses=(labels + (labels == 2)) % 3, subjects=subjects)
    line = headline(headline_metrics(found, 0.95), 0.95)
    assert "30 people)" in line
    assert "caution" not in line


def test_one_image_of_nobody_known_leaves_the_interval_to_wilson():
    numbers = headline_metrics(result(subjects=["S1", "S1", "S2", "", "S3", "S3"]), 0.95)
    assert numbers["interval"] == "Wilson over images"


def test_per_class_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, guesses = rng.integers(0, 4, 80), rng.integers(0, 4, 80)
    table = per_class(result(labels=labels, guesses=guesses), 0.9)
    expected = np.transpose(sklearn_metrics.precision_recall_fscore_support(labels, guesses))
    for row, (precision, recall, f1, support) in zip(table, expected, strict=True):
        _, *found, low, high, method, people, found_f1, found_support, _ = row
        assert (method, people) == ("Wilson over images", None)
        assert (*found, found_f1) == pytest.approx((precision, recall, f1))
        assert found_support == support
        assert low <= recall <= high


def test_a_class_without_test_images_has_a_row_that_claims_nothing():
    for subjects in ((), [f"S{number}" for number in range(6)]):
        row = dict(
            zip(PER_CLASS_HEADER, per_class(result(subjects=subjects), 0.95)[3], strict=True)
        )
        assert (row["class"], row["support"]) == ("surprise", 0)
        assert [row[name] for name in ("precision", "recall", "f1")] == [0, 0, 0]
        assert (row["recall_low"], row["recall_high"]) == (0, 1)


def test_the_headline_says_how_many_how_sure_and_of_what():
    assert headline(headline_metrics(result(), 0.95), 0.95) == LINE


def test_what_was_selected_on_test_says_so_in_every_table_and_line():
    flagged = result(selected_on_test=True)
    assert headline_metrics(flagged, 0.95)["selected_on_test"] is True
    assert "optimistic: selected on test" in headline(headline_metrics(flagged, 0.95), 0.95)
    for found, selected_on in ((flagged, "test"), (result(), "val")):
        assert found.selected_on == selected_on
        assert {row[-1] for row in per_class(found, 0.95)} == {selected_on}
