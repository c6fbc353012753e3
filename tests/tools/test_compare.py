import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from ferpipe.evaluation import significance
from ferpipe.tools import compare
from ferpipe.tools.compare import Revision


def revision(name, predicted, actual=None, digests=None, subjects=None, selected_on_test=False):
    """Four images of two people, or what is given; `predicted` is a letter an image."""
    actual = actual or {"a/1": "a", "a/2": "a", "b/1": "b", "b/2": "b"}
    return Revision(
        name=name,
        actual=actual,
        predicted=dict(zip(actual, predicted, strict=True)),
        digests=digests or {path: path for path in actual},
        subjects=subjects or {path: f"S{path[-1]}" for path in actual},
        selected_on_test=selected_on_test,
    )


# The tests


def test_mcnemar_is_the_binomial_test_of_the_images_that_changed_sides():
    # 10 against 2: 2 * (1 + 12 + 66) / 2**12.
    assert significance.mcnemar(2, 10) == pytest.approx(2 * 79 / 4096)
    assert significance.mcnemar(10, 2) == significance.mcnemar(2, 10)
    assert significance.mcnemar(0, 0) == 1.0
    assert significance.mcnemar(5, 5) == 1.0


@pytest.mark.parametrize(("lost", "won"), [(0, 5), (2, 10), (7, 7), (100, 60), (1, 0)])
def test_with_an_image_a_person_the_test_over_people_is_mcnemars(lost, won):
    found = significance.sign_flip([1] * won + [-1] * lost)
    assert found == pytest.approx(binomtest(won, lost + won).pvalue)


def test_the_test_over_people_counts_all_signs():
    balances = [3, -1, 2, 2, 0, -1, 4]
    sums = [
        abs(sum(sign * balance for sign, balance in zip(signs, balances, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(balances))
    ]
    expected = np.mean([each >= sum(balances) for each in sums])
    assert significance.sign_flip(balances) == pytest.approx(expected)


def test_nobody_makes_no_difference():
    assert significance.sign_flip([]) == 1.0
    assert significance.sign_flip([0, 0]) == 1.0


# The verdict


def people(*groups):
    """Images and who they show: `people(("S1", 3))`."""
    subjects = {f"a/{who}_{number}": who for who, count in groups for number in range(count)}
    return list(subjects), subjects


def test_many_people_who_all_change_to_the_same_side_can_be_believed():
    paths, subjects = people(*((f"S{n}", 1) for n in range(12)))
    assert compare.verdict(paths, [], subjects, 0.95) == (
        "The difference can be believed: chance alone gives one as large in only 0.00049 of cases "
        "(McNemar's exact test on 12 images: p = 0.00049; on the 12 people whom they show: "
        "p = 0.00049). If it decides which one is kept, test has chosen."
    )


def test_as_many_images_of_two_people_cannot():
    paths, subjects = people(("S1", 6), ("S2", 6))
    assert compare.verdict(paths, [], subjects, 0.95) == (
        "The difference cannot be believed: chance alone gives one as large in 50% of cases "
        "(McNemar's exact test on 12 images: p = 0.00049; on the 2 people whom they show: p = 0.5)."
    )


def test_where_nobody_is_known_the_images_judge():
    paths, _ = people(("S1", 12))
    told = compare.verdict(paths, [], dict.fromkeys(paths, ""), 0.95)
    assert told.startswith("The difference can be believed: ")
    assert "people" not in told


def test_the_level_is_that_of_the_params():
    paths, subjects = people(*((f"S{n}", 1) for n in range(7)))  # p = 0.0156
    assert "can be believed" in compare.verdict(paths, [], subjects, 0.95)
    assert "cannot be believed" in compare.verdict(paths, [], subjects, 0.99)


def test_no_difference_is_told_as_such():
    assert compare.verdict([], [], {}, 0.95) == (
        "Both get the same images right: there is no difference to believe."
    )
    told = compare.verdict(["a/1"], ["a/2"], {"a/1": "S1", "a/2": "S2"}, 0.95)
    assert told.startswith("As many became right as wrong: there is no difference to believe (")


# The test sets


def test_the_same_images_with_the_same_labels_are_the_same_test():
    assert compare.differing_tests(revision("A", "aabb"), revision("B", "abab")) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"actual": {"a/1": "a", "a/2": "a", "b/1": "b", "b/3": "b"}},
            "1 only in A, 1 only in B; 3 names in both",
        ),
        (
            {"actual": {"a/1": "a", "a/2": "b", "b/1": "b", "b/2": "b"}},
            "1 in both, with other labels; 4 names in both",
        ),
        (
            {"digests": {"a/1": "x", "a/2": "y", "b/1": "b/1", "b/2": "b/2"}},
            "2 in both by name, but other images; 4 names in both",
        ),
    ],
    ids=["names", "labels", "images"],
)
def test_other_test_sets_are_told_and_not_tested(changes, told):
    old, new = revision("A", "aabb"), revision("B", "aaaa", **changes)
    assert compare.differing_tests(old, new) == told
    lines = compare.lines(old, new, 0.95)
    assert lines[-1] == (
        f"The test sets differ ({told}), so nothing can be said of which is better: compare "
        "revisions with the same split of the same images."
    )
    assert not any("became" in line for line in lines)


# All of it


def test_the_whole_says_who_changed_sides_in_which_class():
    old, new = revision("HEAD", "abba"), revision("my-experiment", "aaaa", selected_on_test=True)
    assert compare.lines(old, new, 0.95) == [
        "HEAD: 2 of 4 test images right",
        "my-experiment: 2 of 4 test images right, optimistic: selected on test",
        "",
        "right of  images    HEAD  my-experiment",
        "a              2       1              2  +1",
        "b              2       1              0  -1",
        "",
        "became right: 1",
        "  a/2: taken for b, now for a",
        "",
        "became wrong: 1",
        "  b/1: taken for b, now for a",
        "",
        "As many became right as wrong: there is no difference to believe (McNemar's exact test on "
        "2 images: p = 1; on the 2 people whom they show: p = 1).",
    ]
