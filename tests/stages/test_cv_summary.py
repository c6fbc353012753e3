import pandas as pd
import pytest

from ferpipe.params.cv import CrossValidation
from ferpipe.stages import cv_summary

SUMMARY = {
    "accuracy": 0.8,
    "accuracy_low": 0.49,
    "accuracy_high": 0.943,
    "interval": "Wilson over images",
    "people": None,
    "accuracy_worst_seed": 0.7,
    "accuracy_best_seed": 0.9,
    "fold_sd": 0.1,
    "macro_f1": 0.792,
    "baseline_accuracy": 0.8,
    "baseline_fold_sd": 0.05,
    "baseline_macro_f1": 0.798,
    "baseline_p_value": 1.0,
    "baseline_test": "exact sign-flip test over 10 images",
    "images": 10,
    "folds": 10,
    "seeds": 2,
    "selected_on_test": False,
}


def recalls(interval="Wilson over images", people=(None, None)):
    return pd.DataFrame(
        {
            "class": ["anger", "happy"],
            "recall": [0.8333, 0.75],
            "recall_low": [0.436, 0.301],
            "recall_high": [0.97, 0.954],
            "interval": interval,
            "people": pd.array(people, dtype="Int64"),
            "support": [6, 4],
            "baseline_recall": [0.75, 0.875],
        }
    )


def test_the_printed_table_has_the_scores_with_their_intervals():
    assert cv_summary.text(SUMMARY, recalls(), "subject", 0.95) == [
        "10 images, grouped by subject; folds: 10, seeds: 2",
        "network    80.0%  (95% interval 49.0% to 94.3%, Wilson over images; seeds 70.0% to "
        "90.0%; SD of folds 10.0%), macro-F1 0.792",
        "baseline   80.0%  (SD of folds 5.0%), macro-F1 0.798",
        "network against baseline, all seeds together: p = 1, exact sign-flip test over 10 images",
        "",
        "recall of      images    people    network        interval    baseline",
        "anger               6         -      83.3%  43.6% to 97.0%       75.0%",
        "happy               4         -      75.0%  30.1% to 95.4%       87.5%",
        "Intervals: Wilson over images.",
    ]


def test_few_people_get_one_caution_and_selection_on_test_a_flag():
    method = "bootstrap over subjects"
    summary = SUMMARY | {"interval": method, "people": 12, "selected_on_test": True}
    lines = cv_summary.text(summary, recalls(method, [12, 9]), "subject", 0.95)
    assert lines[0].endswith("folds: 10, seeds: 2; optimistic: selected on test")
    assert "bootstrap over subjects, 12 people; seeds" in lines[1]
    assert lines[-2].split() == ["happy", "4", "9", *["75.0%", "30.1%", "to", "95.4%", "87.5%"]]
    assert lines[-1] == (
        "Intervals: bootstrap over subjects, 9 to 12 people; few people, may be too narrow."
    )


@pytest.mark.parametrize(("seeds", "index"), [([2], b"path,label\n"), ([1], b"path,labels\n")])
def test_the_fingerprint_is_of_params_and_images(seeds, index):
    first, again = (
        cv_summary.fingerprint({"cv": CrossValidation(seeds=[1])}, b"path,label\n")
        for _ in range(2)
    )
    assert first == again
    assert first != cv_summary.fingerprint({"cv": CrossValidation(seeds=seeds)}, index)
