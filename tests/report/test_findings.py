from dataclasses import replace

import numpy as np
from judged import findings


def with_probabilities(labels, probabilities):
    found = findings()
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (labels, np.argmax(probabilities, axis=1)), 1)
    return replace(
        found, labels=np.array(labels), probabilities=np.array(probabilities), confusion=confusion
    )


def test_mistakes_and_hits_come_with_the_most_confident_first():
    found = with_probabilities(
        [0, 0, 1, 1, 2, 2],
        [
            [0.5, 0.4, 0.1],  # right, less sure than the next
            [0.8, 0.1, 0.1],
            [0.6, 0.2, 0.2],
            [0.7, 0.2, 0.1],
            [0.1, 0.7, 0.2],  # as sure as the one before, so after it
            [0.1, 0.1, 0.8],
        ],
    )
    assert found.mistakes.tolist() == [3, 4, 2]
    # Of anger there is no hit.
    assert found.hits.tolist() == [1, 5]


def test_confusions_are_counted_and_the_most_frequent_stands_first():
    sure = np.eye(3) * 0.7 + 0.1
    found = with_probabilities([0, 1, 1, 1, 2, 2], sure[[1, 0, 0, 1, 0, 0]])
    told = [(each.actual, each.predicted, each.images, each.of) for each in found.confusions]
    assert told == [
        ("anger", "surprise", 2, 3),
        ("calm face", "surprise", 2, 2),
        ("surprise", "anger", 1, 1),
    ]


def test_the_worst_class_is_one_that_test_shows():
    rows = [
        {"class": "never shown", "recall": 0.0, "support": 0},
        {"class": "good", "recall": 0.9, "support": 4},
        {"class": "bad", "recall": 0.5, "support": 4},
    ]
    assert replace(findings(), per_class=rows).worst_class["class"] == "bad"
