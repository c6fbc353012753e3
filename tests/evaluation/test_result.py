import numpy as np
import pytest

from ferpipe.evaluation.intervals import wilson
from ferpipe.evaluation.result import Result, headline_metrics, per_class

CLASSES = ["anger", "happy", "sadness", "surprise"]
SIX_IMAGES = (0, 0, 0, 1, 1, 2)  # nothing shows surprise


def result(labels=SIX_IMAGES, guesses=(0, 0, 1, 1, 1, 0), subjects=(), selected_on_test=False):
    probabilities = np.full((len(labels), 4), 0.1)
    probabilities[np.arange(len(labels)), guesses] = 0.7
    paths = [f"{CLASSES[label]}/{index}.png" for index, label in enumerate(labels)]
    return Result(CLASSES, paths, np.array(labels), probabilities, selected_on_test, subjects)


@pytest.mark.parametrize("subjects", [(), ["S1", "S1", "S2", "", "S3", "S3"]])
def test_the_headline_metrics_are_those_counted_by_hand(subjects):
    low, high = wilson(4, 6, 0.95)
    assert headline_metrics(result(subjects=subjects), 0.95) == {
        "accuracy": pytest.approx(4 / 6),
        "accuracy_low": low,
        "accuracy_high": high,
        "interval": "Wilson over images",
        "people": None,
        "balanced_accuracy": pytest.approx((2 / 3 + 1 + 0) / 3),
        # F1: anger 2/3, happy 4/5, sadness 0; surprise has no test image and does not count.
        "macro_f1": pytest.approx((2 / 3 + 4 / 5 + 0) / 3),
        "macro_f1_low": None,
        "macro_f1_high": None,
        # (4 * 6 - 3 * 3 - 2 * 3) / sqrt((36 - 9 - 9) * (36 - 9 - 4 - 1))
        "mcc": pytest.approx(9 / np.sqrt(18 * 22)),
        "log_loss": pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.1)) / 6),
        "images": 6,
        "selected_on_test": False,
    }


def test_where_subjects_are_known_the_intervals_are_over_them():
    rng = np.random.default_rng(0)
    labels = np.arange(84) % 3
    guesses = np.where(rng.random(84) < 0.8, labels, rng.integers(0, 3, 84))
    of_seven = result(labels, guesses, [f"S{index // 12}" for index in range(84)])
    values, table = headline_metrics(of_seven, 0.95), per_class(of_seven, 0.95)
    for name in ("accuracy", "macro_f1"):
        assert values[f"{name}_low"] < values[name] < values[f"{name}_high"]
    assert (values["interval"], values["people"]) == ("bootstrap over subjects", 7)
    assert table["people"].tolist() == [7, 7, 7, 0]
    assert table["recall"].between(table["recall_low"], table["recall_high"]).all()


@pytest.mark.parametrize("subjects", [(), [f"S{index}" for index in range(6)]])
def test_a_class_without_test_images_has_a_row_without_claims(subjects):
    row = per_class(result(subjects=subjects), 0.95).iloc[3]
    assert (row["class"], row["support"]) == ("surprise", 0)
    assert row[["precision", "recall", "f1"]].tolist() == [0, 0, 0]
    assert (row["recall_low"], row["recall_high"]) == (0, 1)


def test_the_split_that_selected_is_in_metrics_and_tables():
    for selected_on in ("val", "test"):
        one = result(selected_on_test=selected_on == "test")
        assert headline_metrics(one, 0.95)["selected_on_test"] is (selected_on == "test")
        assert set(per_class(one, 0.95)["selected_on"]) == {selected_on}
