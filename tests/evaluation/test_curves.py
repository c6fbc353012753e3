import numpy as np
import pytest
from sklearn import metrics

from ferpipe.evaluation import curves
from ferpipe.model.losses import softmax

CLASSES = ["surprise", "anger", "fear"]


def judged(count=300):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    return labels, softmax(rng.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels])


def test_areas_are_those_of_scikit_learn_and_those_under_the_points():
    labels, probabilities = judged(60)
    for number, found in enumerate(curves.curves(labels, probabilities, CLASSES)):
        shows, scores = labels == number, probabilities[:, number]
        assert found.name == CLASSES[number]
        assert found.auc == pytest.approx(metrics.roc_auc_score(shows, scores))
        assert found.auc == pytest.approx(metrics.auc(*found.roc.T))
        assert found.average_precision == pytest.approx(
            metrics.average_precision_score(shows, scores)
        )
        # Precision holds from a recall back to the one before.
        recalls, precisions = found.precision_recall.T
        assert found.average_precision == pytest.approx(np.diff(recalls) @ precisions[1:], abs=0.01)


def test_curves_run_from_end_to_end_and_stay_small():
    labels, probabilities = judged(30_000)
    for found in curves.curves(labels, probabilities, CLASSES):
        for points in (found.roc, found.precision_recall):
            assert len(points) == curves.POINTS
            assert (np.diff(points[:, 0]) >= 0).all()
        assert found.roc[0].tolist() == [0, 0]
        assert found.roc[-1].tolist() == [1, 1]
        assert found.precision_recall[[0, -1], 0].tolist() == [0, 1]


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_that_none_or_all_show_has_no_curve(label):
    labels = np.full(5, label)
    first, *_ = curves.curves(labels, np.full((5, 2), 0.5), ["a", "b"])
    assert (first.auc, first.average_precision) == (None, None)
    assert len(first.roc) == len(first.precision_recall) == 0


def test_tables_have_the_classes_in_order_with_what_chose():
    labels, probabilities = judged()
    found = curves.curves(labels, probabilities, CLASSES)
    for rows, header, count in (
        (curves.roc_rows(found, "test"), curves.ROC_HEADER, "roc"),
        (
            curves.precision_recall_rows(found, "test"),
            curves.PRECISION_RECALL_HEADER,
            "precision_recall",
        ),
    ):
        assert list(dict.fromkeys(row[0] for row in rows)) == CLASSES
        assert {row[-1] for row in rows} == {"test"}
        assert {len(row) for row in rows} == {len(header)}
        assert len(rows) == sum(len(getattr(each, count)) for each in found)
