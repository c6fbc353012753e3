import numpy as np
import pandas as pd
import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation import intervals, metrics, significance
from ferpipe.evaluation.cross_validation import Scores, per_class, score, summarise
from ferpipe.evaluation.intervals import wilson

CLASSES = ["a", "b", "c"]
PATHS = ["a/1", "a/2", "b/1", "c/1"]
NOBODY = [""] * 4


def predictions(*folds):
    """Rows of (seed, fold, guesses); `a1b` is the image a/1, predicted as b."""
    rows = [
        (seed, fold, f"{name[0]}/{name[1]}", name[0], name[2])
        for seed, fold, names in folds
        for name in names.split()
    ]
    return pd.DataFrame(rows, columns=["seed", "fold", "path", "actual", "predicted"])


FIRST_SEED = ((1, 0, "a1a a2b"), (1, 1, "b1b c1c"))
BOTH_SEEDS = predictions(*FIRST_SEED, (2, 0, "a1a b1a"), (2, 1, "a2b c1a"))


@pytest.mark.parametrize("subjects", [NOBODY, ["S2", "", "S1", "S2"]])
def test_the_scores_are_those_counted_by_hand(subjects):
    scores = score(BOTH_SEEDS, PATHS, CLASSES, subjects)
    assert scores.by_seed == {1: 3 / 4, 2: 1 / 4}
    assert scores.accuracy == 1 / 2
    # Folds of 1/2 and 1, then of 1/2 and 0.
    assert scores.fold_sd == pytest.approx(0.5 / np.sqrt(2))
    assert scores.confusions.total.tolist() == [[2, 2, 0], [1, 1, 0], [1, 0, 1]]
    assert scores.confusions.support.tolist() == [2, 1, 1]
    # Each image with both seeds.
    assert scores.confusions.over == "images"
    assert np.trace(scores.confusions.counts, axis1=1, axis2=2).tolist() == [2, 0, 1, 1]


def test_each_subject_has_its_own_counts_over_all_seeds():
    confusions = score(BOTH_SEEDS, PATHS, CLASSES, ["S2", "S1", "S1", "S2"]).confusions
    first = [[0, 2, 0], [1, 1, 0], [0, 0, 0]]
    second = [[2, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert (confusions.over, confusions.counts.tolist()) == ("people", [first, second])


@pytest.mark.parametrize(
    ("last", "path"), [("a2b", "c/1"), ("a2b c1a a1a", "a/1"), ("a2b c9a", "c/1")]
)
def test_an_image_that_a_seed_does_not_score_once_is_an_error(last, path):
    rows = predictions(*FIRST_SEED, (2, 0, "a1a b1a"), (2, 1, last))
    with pytest.raises(PipelineError, match=f"seed 2 do not predict each image once, .* {path};"):
        score(rows, PATHS, CLASSES, NOBODY)


def of_images(by_seed, fold_sd, hits):
    """Scores of six images of a class and four of another, each predicted by two seeds."""
    counts = np.zeros((10, 2, 2), int)
    label = np.array([0] * 6 + [1] * 4)
    counts[np.arange(10), label, label] = hits
    counts[np.arange(10), label, 1 - label] = 2 - np.array(hits)
    return Scores(by_seed, fold_sd, metrics.Confusions(counts, "images", seeds=2), folds=5)


def of_people(counts):
    return Scores({1: 0.9, 2: 0.7}, 0.1, metrics.Confusions(np.array(counts), "people", seeds=2), 5)


# Two seeds of ten images: 9 and 7 right; the baseline 8 and 8.
NETWORK = of_images({1: 0.9, 2: 0.7}, 0.1, [2, 2, 2, 2, 2, 0, 2, 2, 1, 1])
BASELINE = of_images({1: 0.8, 2: 0.8}, 0.05, [2, 2, 2, 1, 1, 1, 2, 2, 2, 1])


def test_an_image_counts_once_however_many_seeds_there_are():
    low, high = wilson(8, 10, 0.95)
    expected = {
        "accuracy": 0.8,
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_worst_seed": 0.7,
        "accuracy_best_seed": 0.9,
        "macro_f1": (20 / 24 + 12 / 16) / 2,
        "baseline_accuracy": 0.8,
        "baseline_macro_f1": (18 / 22 + 14 / 18) / 2,
        "images": 10,
        "folds": 5,
        "seeds": 2,
    }
    summary = summarise(NETWORK, BASELINE, 0.75, 0.95, selected_on_test=False)
    assert {name: summary[name] for name in expected} == pytest.approx(expected)
    assert (summary["interval"], summary["people"]) == ("Wilson over images", None)
    assert summary["macro_f1_low"] is summary["macro_f1_high"] is None
    row = per_class(NETWORK, BASELINE, ["x", "y"], "val", 0.95).iloc[0]
    assert row[["class", "support", "interval", "selected_on"]].tolist() == [
        *("x", 6, "Wilson over images", "val")
    ]
    for prefix, recall in (("", 5 / 6), ("baseline_", 4.5 / 6)):
        values = row[[f"{prefix}{name}" for name in ("recall", "recall_low", "recall_high")]]
        assert values.tolist() == pytest.approx([recall, *wilson(6 * recall, 6, 0.95)])


def test_where_subjects_are_known_the_intervals_are_over_them_however_many_seeds_there_are():
    # Eight people, whose images were each tested by two seeds.
    once = np.array([[[2, 0], [0, 1]], [[1, 1], [0, 1]], [[1, 0], [1, 0]], [[1, 0], [0, 1]]] * 2)
    network, baseline = of_people(2 * once), of_people(2 * once[:, ::-1])
    summary = summarise(network, baseline, 0.75, 0.95, selected_on_test=False)
    for name in ("accuracy", "macro_f1"):
        one_seed = intervals.bootstrap(once, getattr(metrics, name), 0.95)
        bounds = (summary[f"{name}_low"], summary[f"{name}_high"])
        assert bounds == (one_seed.low, one_seed.high)
    assert (summary["interval"], summary["people"]) == ("bootstrap over subjects", 8)
    assert summary["images"] == once.sum()
    table = per_class(network, baseline, ["x", "y"], "val", 0.95)
    assert ",".join(table) == (
        "class,precision,recall,recall_low,recall_high,interval,people,f1,support,selected_on,"
        "baseline_recall,baseline_recall_low,baseline_recall_high,baseline_interval"
    )
    assert table["people"].tolist() == [8, 8]
    of_baseline = baseline.confusions.per_class(["x", "y"], "val", 0.95)
    for name in ("recall", "recall_low", "recall_high", "interval"):
        assert table[f"baseline_{name}"].tolist() == of_baseline[name].tolist()


@pytest.mark.parametrize(
    ("over", "network", "baseline", "p_value"),
    [
        # Balances 2, 2, 2, 0 and -1 sum to 5; of 16 signs 2 reach 5 or 7, and 2 reach -5 or -7.
        ("people", [4, 4, 4, 3, 1], [2, 2, 2, 3, 2], 4 / 16),
        ("images", [2, 2, 2, 2, 2, 2, 2, 1], [1] * 8, 2 / 2**7),
    ],
)
def test_a_person_or_image_is_one_trial_with_all_its_seeds(over, network, baseline, p_value):
    first, second = (
        metrics.Confusions(np.reshape(right, (-1, 1, 1)), over, seeds=2)
        for right in (network, baseline)
    )
    expected = (pytest.approx(p_value), f"exact sign-flip test over {len(network)} {over}")
    assert significance.compare(first, second) == expected
