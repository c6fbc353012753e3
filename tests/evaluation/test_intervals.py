import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from ferpipe.evaluation import intervals, metrics


def test_confusion_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(0, 5, (2, 200))
    expected = reference.confusion_matrix(labels, predicted, labels=range(6))
    assert (metrics.confusion(labels, predicted, 6) == expected).all()


def test_the_confusion_table_has_every_pair_in_the_order_of_the_data():
    classes = ["sadness", "anger", "surprise"]
    counts = metrics.confusion(np.array([0, 1, 1, 1]), np.array([1, 1, 1, 0]), 3)
    rows = metrics.confusion_rows(counts, classes, "val")
    assert [row[:2] for row in rows] == [(a, b) for a in classes for b in classes]
    assert {row[4] for row in rows} == {"val"}
    found = {row[:2]: row[2:4] for row in rows}
    assert found["anger", "sadness"] == (1, pytest.approx(1 / 3))
    assert found["sadness", "anger"] == (1, 1.0)
    assert found["surprise", "surprise"] == (0, 0.0)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    # The first is the published interval of 195 of 196; the others are textbook values.
    [
        (195, 196, 0.9717, 0.9991),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_wilson_gives_known_intervals(hits, total, low, high):
    assert intervals.wilson(hits, total, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_wilson_without_images_says_nothing():
    assert intervals.wilson(0, 0, 0.95) == (0.0, 1.0)


def test_a_higher_level_gives_a_wider_interval():
    low, high = intervals.wilson(30, 40, 0.8)
    lower, higher = intervals.wilson(30, 40, 0.99)
    assert lower < low < 0.75 < high < higher


# Intervals over subjects


def people(hits, images):
    """Counts of people with so many of their images right; all are of one class of two."""
    counts = np.zeros((len(hits), 2, 2), np.int64)
    counts[:, 0, 0] = hits
    counts[:, 0, 1] = np.array(images) - hits
    return counts


def random_judgement(seed=0, images=300, classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    guesses = np.where(rng.random(images) < 0.7, labels, rng.integers(0, classes, images))
    return labels, guesses, [f"S{who}" for who in rng.integers(0, 20, images)]


def test_the_counts_of_all_subjects_are_the_confusion():
    labels, guesses, subjects = random_judgement()
    counts = metrics.by_subject(labels, guesses, subjects, 4)
    assert len(counts) == len(set(subjects))
    assert (counts.sum(axis=0) == metrics.confusion(labels, guesses, 4)).all()
    first = np.array(subjects) == min(subjects)
    assert (counts[0] == metrics.confusion(labels[first], guesses[first], 4)).all()


def test_accuracy_and_macro_f1_of_counts_are_those_of_scikit_learn():
    for seed in range(3):
        labels, guesses, _ = random_judgement(seed)
        counts = metrics.confusion(labels, guesses, 6)[np.newaxis]  # two classes have no image
        assert metrics.accuracy(counts) == pytest.approx(
            [reference.accuracy_score(labels, guesses)]
        )
        expected = reference.f1_score(labels, guesses, average="macro")
        assert metrics.macro_f1(counts) == pytest.approx([expected])


@pytest.mark.parametrize("statistic", ["accuracy", "macro_f1"])
def test_the_bootstrap_is_that_of_scipy_but_for_the_level(statistic):
    """SciPy's BCa at the level that is used here for so few subjects."""
    labels, guesses, subjects = random_judgement()
    counts = metrics.by_subject(labels, guesses, subjects, 4)
    function = getattr(metrics, statistic)
    n = len(counts)
    level = 2 * stats.norm.cdf(stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))) - 1
    expected = stats.bootstrap(
        (np.arange(n),),
        lambda drawn, axis=-1: function(counts[drawn.astype(int)].sum(axis=-3)),
        confidence_level=level,
        n_resamples=20_000,
        batch=1000,
        rng=np.random.default_rng(7),
    ).confidence_interval
    found = intervals.bootstrap(counts, function, 0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)
    assert found.method == "bootstrap over subjects"


def test_images_that_are_wrong_together_make_a_wider_interval():
    together = intervals.bootstrap(people([10] * 16 + [0] * 4, 10), metrics.accuracy, 0.95)
    alone = intervals.bootstrap(people([7, 9] * 10, 10), metrics.accuracy, 0.95)
    low, high = intervals.wilson(160, 200, 0.95)
    assert together.high - together.low > 2 * (high - low)
    assert together.low < low < alone.low


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """24 people of eight images, whose shares right differ; 0.95 of 300 is 285."""
    rng = np.random.default_rng(3)
    held = wilson_held = 0
    for _ in range(300):
        hits = rng.binomial(8, rng.beta(2.1, 0.233, 24))  # 0.9 on average
        found = intervals.bootstrap(people(hits, 8), metrics.accuracy, 0.95)
        held += found.low <= 0.9 <= found.high
        low, high = intervals.wilson(int(hits.sum()), 192, 0.95)
        wilson_held += low <= 0.9 <= high
    assert held > 270
    assert wilson_held < 240


@pytest.mark.parametrize("hits", [0, 8])
def test_where_all_is_right_or_wrong_the_interval_is_wilsons_with_a_trial_a_person(hits):
    found = intervals.bootstrap(people([hits] * 24, 8), metrics.accuracy, 0.95)
    assert (found.low, found.high) == intervals.wilson(24 if hits else 0, 24, 0.95)
    assert (found.method, found.people) == ("Wilson over subjects", 24)


def test_people_who_are_all_alike_make_no_interval_of_no_width():
    found = intervals.bootstrap(people([2] * 24, 8), metrics.accuracy, 0.95)
    assert (found.low, found.high) == intervals.wilson(6, 24, 0.95)
    assert found.method == "Wilson over subjects"


@pytest.mark.parametrize(("count", "method"), [(5, "Wilson"), (6, "bootstrap")])
def test_so_few_people_that_they_do_not_show_how_people_differ_have_wilsons_interval(count, method):
    hits = np.array([8, 7, 3, 8, 6, 8][:count])
    found = intervals.bootstrap(people(hits, 8), metrics.accuracy, 0.95)
    assert (found.method, found.people) == (f"{method} over subjects", count)
    (share,) = intervals.bootstrap_shares(hits[:, None], np.full((count, 1), 8), 0.95)
    assert share == found


@pytest.mark.parametrize("hits", [[3], [1, 3], [0, 4], [4, 4, 3]])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_few_people_give_bounds_within_0_and_1(hits, confidence):
    found = intervals.bootstrap(people(hits, 4), metrics.accuracy, confidence)
    assert 0 <= found.low <= sum(hits) / (4 * len(hits)) <= found.high <= 1


def test_the_intervals_are_the_same_each_time_in_any_order_of_the_images():
    labels, guesses, subjects = random_judgement()
    order = np.random.default_rng(1).permutation(len(labels))
    shuffled = labels[order], guesses[order], [subjects[i] for i in order]
    assert intervals.intervals(*shuffled, 4, 0.95) == intervals.intervals(
        *(labels, guesses, subjects), 4, 0.95
    )


@pytest.mark.parametrize("subjects", [(), ["S1"] * 299 + [""]])
def test_where_a_subject_is_not_known_the_interval_is_wilsons_over_images(subjects):
    labels, guesses, _ = random_judgement()
    interval, f1_interval = intervals.intervals(labels, guesses, subjects, 4, 0.95)
    hits = int((labels == guesses).sum())
    assert (interval.low, interval.high) == intervals.wilson(hits, 300, 0.95)
    assert (interval.method, f1_interval) == ("Wilson over images", None)


# Intervals of several shares


def shares_of(people_count, cases, seed, present=1.0, share=0.85, images=3):
    """Hits and images (people, cases): images of one person are right together (beta 0.3)."""
    rng = np.random.default_rng(seed)
    shown = np.where(rng.random((people_count, cases)) < present, images, 0)
    a, b = share * 7 / 3, (1 - share) * 7 / 3
    return rng.binomial(shown, rng.beta(a, b, (people_count, cases))), shown


def test_a_share_of_all_images_has_the_interval_of_accuracy():
    hits = np.array([10, 8, 0, 9, 10, 3, 7])
    (share,) = intervals.bootstrap_shares(hits[:, None], np.full((7, 1), 10), 0.95)
    assert share == intervals.bootstrap(people(hits, 10), metrics.accuracy, 0.95)


def test_a_share_does_not_depend_on_the_others():
    hits, shown = shares_of(24, 6, seed=0, present=0.5)
    together = intervals.bootstrap_shares(hits, shown, 0.95)
    alone = [intervals.bootstrap_shares(hits[:, [i]], shown[:, [i]], 0.95)[0] for i in range(6)]
    assert together == alone
    assert [each.people for each in together] == (shown > 0).sum(axis=0).tolist()


@pytest.mark.parametrize(("count", "present"), [(9, 1.0), (24, 0.4), (118, 0.15)])
def test_the_intervals_of_shares_hold_the_truth_as_often_as_they_say(count, present):
    """0.95 of 400 is 380; Wilson's interval over images holds far fewer."""
    hits, shown = shares_of(count, 400, seed=1, present=present)
    found = intervals.bootstrap_shares(hits, shown, 0.95)
    wilsons = [
        intervals.wilson(h, n, 0.95)
        for h, n in zip(hits.sum(axis=0).tolist(), shown.sum(axis=0).tolist(), strict=True)
    ]
    assert sum(each.low <= 0.85 <= each.high for each in found) > 370
    assert sum(low <= 0.85 <= high for low, high in wilsons) < 365


def test_a_class_that_is_all_right_or_absent_has_wilsons_interval_over_its_people():
    hits = np.zeros((10, 3), int)
    shown = np.zeros((10, 3), int)
    hits[:8, 0] = shown[:8, 0] = 3
    shown[2:, 1] = 2
    right, wrong, absent = intervals.bootstrap_shares(hits, shown, 0.95)
    assert right == intervals.Interval(*intervals.wilson(8, 8, 0.95), "Wilson over subjects", 8)
    assert wrong == intervals.Interval(*intervals.wilson(0, 8, 0.95), "Wilson over subjects", 8)
    assert (absent.low, absent.high, absent.people) == (0, 1, 0)


def test_a_note_names_the_methods_and_the_people_with_a_caution_where_they_are_few():
    caution = "; caution: fewer than 30 people, so it may be too narrow"
    both = [("bootstrap over subjects", 40), ("Wilson over subjects", 8)]
    assert intervals.note(both) == (
        f"Intervals: bootstrap over subjects or Wilson over subjects, 8 to 40 people{caution}."
    )
    assert intervals.note(both[:1]) == "Intervals: bootstrap over subjects, 40 people."
    assert intervals.note([("Wilson over images", None)]) == "Intervals: Wilson over images."
    assert intervals.basis("Wilson over subjects", 1) == f"Wilson over subjects, 1 person{caution}"
