import numpy as np
import pytest
from sklearn import metrics

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation.cross_validation import score

CLASSES = ["a", "b", "c"]
PATHS = ["a/1", "a/2", "b/1", "c/1"]


def rows(**predicted):
    """Rows of a fold: `rows(a1="b")` is the image a/1, taken for b."""
    return [
        {"path": f"{name[0]}/{name[1]}", "actual": name[0], "predicted": guess}
        for name, guess in predicted.items()
    ]


FOLDS = {
    (1, 0): rows(a1="a", a2="b"),
    (1, 1): rows(b1="b", c1="c"),
    (2, 0): rows(a1="a", b1="a"),
    (2, 1): rows(a2="b", c1="a"),
}


def test_the_numbers_are_those_counted_by_hand():
    found = score(FOLDS, PATHS, CLASSES)
    assert found.by_seed == {1: 3 / 4, 2: 1 / 4}
    assert found.accuracy == 1 / 2
    # Folds of 1/2 and 1, then of 1/2 and 0.
    assert found.fold_sd == pytest.approx(0.5 / np.sqrt(2))
    assert found.confusion.tolist() == [[2, 2, 0], [1, 1, 0], [1, 0, 1]]
    assert found.by_image.tolist() == [2, 0, 1, 1]


def test_scores_per_class_are_those_of_scikit_learn():
    found = score(FOLDS, PATHS, CLASSES)
    labels = [row["actual"] for fold in FOLDS.values() for row in fold]
    guesses = [row["predicted"] for fold in FOLDS.values() for row in fold]
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, guesses)
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert found.f1 == pytest.approx(f1)


def test_a_class_that_is_never_predicted_has_scores_of_0():
    found = score({(1, 0): rows(a1="b"), (1, 1): rows(b1="b")}, ["a/1", "b/1"], CLASSES)
    assert (found.precision[0], found.recall[0], found.f1[0]) == (0, 0, 0)


def test_each_subject_has_its_own_counts_over_all_seeds():
    found = score(FOLDS, PATHS, CLASSES, ["S2", "S1", "S1", "S2"])
    first = [[0, 2, 0], [1, 1, 0], [0, 0, 0]]
    second = [[2, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert found.by_subject.tolist() == [first, second]
    assert (found.by_subject.sum(axis=0) == found.confusion).all()


@pytest.mark.parametrize("subjects", [(), ["S2", "", "S1", "S2"]])
def test_where_a_subject_is_not_known_there_are_no_counts_of_subjects(subjects):
    assert score(FOLDS, PATHS, CLASSES, subjects).by_subject is None


@pytest.mark.parametrize(
    ("last", "path"),
    [(rows(a2="b"), "c/1"), (rows(a2="b", c1="a", a1="a"), "a/1"), (rows(a2="b", c9="a"), "c/1")],
)
def test_an_image_that_a_seed_does_not_score_once_is_an_error(last, path):
    with pytest.raises(PipelineError, match=f"seed 2 do not predict each image once, .* {path};"):
        score(FOLDS | {(2, 1): last}, PATHS, CLASSES)
