from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from example_findings import findings


def with_probabilities(labels, probabilities):
    example = findings()
    result = replace(example.result, labels=np.array(labels), probabilities=np.array(probabilities))
    return replace(example, result=result)


def test_mistakes_and_hits_are_sorted_by_confidence():
    shown = with_probabilities(
        [0, 0, 1, 1, 2, 2],
        [
            [0.5, 0.4, 0.1],  # correct, with less confidence than the next
            [0.8, 0.1, 0.1],
            [0.6, 0.2, 0.2],
            [0.7, 0.2, 0.1],
            [0.1, 0.7, 0.2],  # the confidence of the one before, so after it
            [0.1, 0.1, 0.8],
        ],
    )
    assert shown.mistakes.tolist() == [3, 4, 2]
    # There is no correct image of the second class.
    assert shown.hits.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("selected_on_test", "flag"), [(False, ""), (True, ", optimistic: selected on test")]
)
def test_the_headline_has_the_interval_and_the_split_that_selected(selected_on_test, flag):
    shown = findings(people=7, selected_on_test=selected_on_test)
    low, high = shown.metrics["accuracy_low"], shown.metrics["accuracy_high"]
    start = f"{shown.metrics['accuracy']:.1%} of 90 test images correct (95% interval {low:.1%} to "
    basis = f"{high:.1%}, bootstrap over subjects, 7 people"
    assert shown.headline == f"{start}{basis}; few people, may be too narrow){flag}"
    many = replace(shown, metrics=shown.metrics | {"people": 30})
    assert many.headline.endswith(f"bootstrap over subjects, 30 people){flag}")


def test_confusions_are_sorted_by_count():
    certain = np.eye(3) * 0.7 + 0.1
    shown = with_probabilities([0, 1, 1, 1, 2, 2], certain[[1, 0, 0, 1, 0, 0]])
    assert shown.confusions.values.tolist() == [
        ["anger", "surprise", 2, 3],
        ["calm face", "surprise", 2, 2],
        ["surprise", "anger", 1, 1],
    ]


def test_the_worst_class_has_images():
    table = pd.DataFrame(
        {"class": ["absent", "good", "bad"], "recall": [0.0, 0.9, 0.5], "support": [0, 4, 4]}
    )
    assert replace(findings(), per_class=table).worst_class["class"] == "bad"
