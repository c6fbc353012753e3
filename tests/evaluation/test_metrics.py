import numpy as np
import pytest
from sklearn import metrics as reference

from ferpipe.evaluation import metrics


def test_the_confusion_table_has_every_pair_in_the_order_of_the_classes():
    counts = np.array([[0, 1, 0], [1, 2, 0], [0, 0, 0]])
    table = metrics.confusion_table(counts, ["sadness", "anger", "surprise"], "val")
    assert table.to_dict("list") == {
        "actual": ["sadness"] * 3 + ["anger"] * 3 + ["surprise"] * 3,
        "predicted": ["sadness", "anger", "surprise"] * 3,
        "count": [0, 1, 0, 1, 2, 0, 0, 0, 0],
        "share": [0, 1, 0, pytest.approx(1 / 3), pytest.approx(2 / 3), 0, 0, 0, 0],
        "selected_on": ["val"] * 9,
    }


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed):
    labels, predicted = np.random.default_rng(seed).integers(0, 4, (2, 60))
    counts = metrics.Confusions.count(labels, predicted, 6, ()).total  # two have no image
    assert (counts == reference.confusion_matrix(labels, predicted, labels=range(6))).all()
    expected = reference.precision_recall_fscore_support(
        labels, predicted, labels=range(6), zero_division=0
    )
    for metric, values in zip(metrics.precision_recall_f1(counts), expected, strict=False):
        assert metric == pytest.approx(values)
    assert metrics.accuracy(counts) == reference.accuracy_score(labels, predicted)
    macro_f1 = reference.f1_score(labels, predicted, average="macro")
    assert metrics.macro_f1(counts[np.newaxis]) == pytest.approx([macro_f1])
