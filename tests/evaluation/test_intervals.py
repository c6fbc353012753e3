import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.intervals import Interval, wilson


def test_wilson_is_that_of_scipy():
    for hits, total in ((195, 196), (0, 10), (10, 10), (5, 10), (1, 2)):
        expected = stats.binomtest(hits, total).proportion_ci(0.95, method="wilson")
        assert wilson(hits, total, 0.95) == pytest.approx(expected)
    assert wilson(0, 0, 0.95) == (0, 1)


def share(hits, images, confidence=0.95):
    """The interval over people with so many of their images right."""
    hits = np.array(hits)[:, np.newaxis]
    return intervals.of_shares(hits, np.broadcast_to(images, hits.shape), "people", confidence)[0]


def random_confusions(order=slice(None), subjects=None):
    """Of 300 images of 20 people, about 78% right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    guesses = np.where(rng.random(300) < 0.7, labels, rng.integers(0, 4, 300))
    if subjects is None:
        subjects = np.char.add("S", rng.integers(0, 20, 300).astype(str))[order]
    return metrics.Confusions.count(labels[order], guesses[order], 4, subjects)


def scipy_interval(counts, statistic):
    """SciPy's BCa at the level that is used here for so few subjects."""
    n = len(counts)
    level = 2 * stats.norm.cdf(stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))) - 1
    return stats.bootstrap(
        (np.arange(n),),
        lambda drawn, axis=-1: statistic(counts[drawn.astype(int)].sum(axis=-3)),
        confidence_level=level,
        n_resamples=20_000,
        batch=1000,
        rng=np.random.default_rng(7),
    ).confidence_interval


def test_the_bootstrap_is_that_of_scipy_but_for_the_level():
    counted = random_confusions()
    accuracy = counted.accuracy_interval(0.95)
    assert (accuracy.method, accuracy.people) == ("bootstrap over subjects", 20)
    for bounds, statistic in (
        ((accuracy.low, accuracy.high), metrics.accuracy),
        (tuple(counted.macro_f1_bounds(0.95).values()), metrics.macro_f1),
    ):
        assert bounds == pytest.approx(scipy_interval(counted.counts, statistic), abs=0.004)


def test_people_who_are_all_alike_have_wilsons_interval_with_a_trial_a_person():
    assert share([2] * 24, 8) == Interval(*wilson(6, 24, 0.95), "Wilson over subjects", 24)


@pytest.mark.parametrize(("people", "method"), [(5, "Wilson"), (6, "bootstrap")])
def test_a_bootstrap_needs_six_people(people, method):
    interval = share([8, 7, 3, 8, 6, 8][:people], 8)
    assert (interval.method, interval.people) == (f"{method} over subjects", people)


@pytest.mark.parametrize("hits", [[3], [1, 3], [0, 4], [4, 4, 3]])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_few_people_give_bounds_within_0_and_1(hits, confidence):
    interval = share(hits, 4, confidence)
    assert 0 <= interval.low <= sum(hits) / (4 * len(hits)) <= interval.high <= 1


def test_the_intervals_are_the_same_each_time_in_any_order_of_the_images():
    first = random_confusions()
    second = random_confusions(np.random.default_rng(1).permutation(300))
    assert first.accuracy_interval(0.95) == second.accuracy_interval(0.95)
    assert first.macro_f1_bounds(0.95) == second.macro_f1_bounds(0.95)


@pytest.mark.parametrize("subjects", [(), ["S1"] * 299 + [""]])
def test_where_a_subject_is_not_known_the_interval_is_wilsons_over_images(subjects):
    counted = random_confusions(subjects=subjects)
    hits = int(counted.total.trace())
    expected = Interval(*wilson(hits, 300, 0.95), "Wilson over images", None)
    assert counted.accuracy_interval(0.95) == expected
    assert counted.macro_f1_bounds(0.95) == {"macro_f1_low": None, "macro_f1_high": None}


# Several shares


def shares_of(people, cases, seed, present=1.0, images=3):
    """Hits and images (people, cases): 0.85 right, images of a person together (beta 0.3)."""
    rng = np.random.default_rng(seed)
    shown = np.where(rng.random((people, cases)) < present, images, 0)
    return rng.binomial(shown, rng.beta(0.85 * 7 / 3, 0.15 * 7 / 3, (people, cases))), shown


def test_a_share_does_not_depend_on_the_others():
    hits, shown = shares_of(24, 6, seed=0, present=0.5)
    together = intervals.of_shares(hits, shown, "people", 0.95)
    assert together == [share(hits[:, i], shown[:, [i]]) for i in range(6)]
    assert [interval.people for interval in together] == (shown > 0).sum(axis=0).tolist()


@pytest.mark.parametrize(
    ("people", "present", "images"), [(9, 1.0, 3), (24, 1.0, 8), (24, 0.4, 3), (118, 0.15, 3)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(people, present, images):
    """0.95 of 400 is 380; Wilson's interval over images covers far fewer."""
    hits, shown = shares_of(people, 400, seed=1, present=present, images=images)
    for over, enough in (("people", True), ("images", False)):
        bounds = intervals.of_shares(hits, shown, over, 0.95)
        covered = sum(interval.low <= 0.85 <= interval.high for interval in bounds)
        assert (covered > 365) is enough


def test_a_class_that_is_all_right_or_absent_has_wilsons_interval_over_its_people():
    hits, shown = np.zeros((2, 10, 3), int)
    hits[:8, 0] = shown[:8, 0] = 3
    shown[2:, 1] = 2
    right, wrong, absent = intervals.of_shares(hits, shown, "people", 0.95)
    assert right == Interval(*wilson(8, 8, 0.95), "Wilson over subjects", 8)
    assert wrong == Interval(*wilson(0, 8, 0.95), "Wilson over subjects", 8)
    assert absent == Interval(0, 1, "Wilson over subjects", 0)


@pytest.mark.parametrize("unknown", [None, pd.NA, float("nan")])
def test_a_note_has_the_methods_and_the_people_with_a_caution_where_they_are_few(unknown):
    both = [("bootstrap over subjects", 40), ("Wilson over subjects", 8)]
    assert intervals.note(both) == (
        "Intervals: bootstrap over subjects or Wilson over subjects, 8 to 40 people; few people, "
        "may be too narrow."
    )
    assert intervals.note(iter(both[:1])) == "Intervals: bootstrap over subjects, 40 people."
    assert intervals.note([("Wilson over images", unknown)]) == "Intervals: Wilson over images."
    assert intervals.basis("Wilson over images", unknown) == "Wilson over images"
    assert intervals.basis("Wilson over subjects", 1) == "Wilson over subjects, 1 person"
    assert not any(intervals.caution(people) for people in (30, unknown))
