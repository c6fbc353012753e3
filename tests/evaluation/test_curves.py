import numpy as np
import pytest
from sklearn import metrics

from ferpipe.evaluation import curves
from ferpipe.model.losses import softmax

CLASSES = ["surprise", "anger", "fear"]


def predictions(images):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, images)
    return labels, softmax(rng.normal(size=(images, 3)) + 1.5 * np.eye(3)[labels])


def test_areas_are_those_under_the_points():
    labels, probabilities = predictions(60)
    for index, curve in enumerate(curves.curves(labels, probabilities, CLASSES)):
        assert (curve.name, curve.images) == (CLASSES[index], (labels == index).sum())
        assert curve.auc == pytest.approx(metrics.auc(*curve.roc.T))
        # Precision holds from a recall back to the one before.
        recalls, precisions = curve.precision_recall.T
        area = np.diff(recalls) @ precisions[1:]
        assert curve.average_precision == pytest.approx(area, abs=0.01)


def test_curves_run_from_end_to_end_and_stay_small():
    for curve in curves.curves(*predictions(30_000), CLASSES):
        for points in (curve.roc, curve.precision_recall):
            assert len(points) == curves.POINTS
            assert (np.diff(points[:, 0]) >= 0).all()
        assert curve.roc[[0, -1]].tolist() == [[0, 0], [1, 1]]
        assert curve.precision_recall[[0, -1], 0].tolist() == [0, 1]


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_that_none_or_all_show_has_no_curve(label):
    both = curves.curves(np.full(5, label), np.full((5, 2), 0.5), ["a", "b"])
    assert (both[0].auc, both[0].average_precision) == (None, None)
    assert curves.roc_table(both, "val").empty
    assert curves.precision_recall_table(both, "val").empty


def test_tables_have_the_classes_in_order_with_what_selected():
    both = curves.curves(*predictions(300), CLASSES)
    for name, columns in (
        ("roc", "class,false_positive_rate,true_positive_rate,auc,selected_on"),
        ("precision_recall", "class,recall,precision,average_precision,selected_on"),
    ):
        table = getattr(curves, f"{name}_table")(both, "test")
        assert ",".join(table) == columns
        assert table["class"].unique().tolist() == CLASSES
        assert set(table["selected_on"]) == {"test"}
        points = np.concatenate([getattr(curve, name) for curve in both])
        assert (table.iloc[:, 1:3].values == points).all()
