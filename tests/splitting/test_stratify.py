import math
import random
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from ferpipe.splitting.stratify import (
    RESTARTS,
    assign_groups,
    assign_images,
    join_repeats,
    quotas,
)


def random_shares(rng, most=6):
    weights = [rng.random() + 0.05 for _ in range(rng.randint(1, most))]
    return [weight / sum(weights) for weight in weights]


def random_labels(rng, count):
    """Labels of up to seven classes, some of them rare."""
    classes = ["anger", "anger", "anger", "joy", "joy", "fear", "disgust", "surprise"]
    return [rng.choice(classes[: rng.randint(1, 8)]) for _ in range(count)]


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [
        (981, [0.7, 0.1, 0.2], [687, 98, 196]),
        (10, [0.1] * 10, [1] * 10),
        (11, [0.5, 0.5], [6, 5]),  # the earlier part wins a tie
        (2, [1 / 3] * 3, [1, 1, 0]),
        (100, [0.29, 0.71], [29, 71]),  # 0.29 * 100 is 28.999999999999996
        (0, [0.5, 0.5], [0, 0]),
    ],
)
def test_quotas_are_those_of_the_largest_remainder(total, shares, expected):
    assert quotas(total, shares) == expected


def test_quotas_sum_to_the_total_and_are_off_by_less_than_one():
    rng = random.Random(0)
    for _ in range(300):
        total, shares = rng.randint(0, 500), random_shares(rng)
        counts = quotas(total, shares)
        assert sum(counts) == total
        assert all(
            abs(one - total * share) < 1 + 1e-6 for one, share in zip(counts, shares, strict=True)
        )


def test_single_images_have_exact_part_sizes_and_nearly_exact_class_shares():
    rng = random.Random(1)
    for seed in range(200):
        labels, shares = random_labels(rng, rng.randint(0, 200)), random_shares(rng)
        parts = assign_images(labels, shares, seed)
        sizes = Counter(parts)
        assert [sizes[part] for part in range(len(shares))] == quotas(len(labels), shares)
        counts = Counter(zip(labels, parts, strict=True))
        for label, total in Counter(labels).items():
            for part, share in enumerate(shares):
                assert abs(counts[label, part] - total * share) < 2


def test_groups_are_never_divided():
    rng = random.Random(2)
    for seed in range(30):
        labels = random_labels(rng, rng.randint(1, 150))
        groups = [f"S{rng.randint(1, 30)}" for _ in labels]
        shares = random_shares(rng)
        parts = assign_groups(labels, groups, shares, seed)
        assert len(set(zip(groups, parts, strict=True))) == len(set(groups))
        assert set(parts) <= set(range(len(shares)))


def test_equal_groups_have_exact_shares():
    labels = ["anger", "joy", "fear"] * 20
    groups = [f"S{subject}" for subject in range(20) for _ in range(3)]
    parts = assign_groups(labels, groups, [0.6, 0.2, 0.2], seed=1)
    counts = Counter(zip(labels, parts, strict=True))
    assert counts == {
        (label, part): count for label in labels for part, count in enumerate((12, 4, 4))
    }


def test_groups_of_mixed_sizes_come_near_to_the_shares_of_every_class():
    rng = random.Random(3)
    shares = [0.7, 0.1, 0.2]
    for seed in range(10):
        labels, groups = [], []
        for subject in range(100):
            for label in rng.sample(["anger", "joy", "fear", "disgust"], rng.randint(1, 4)):
                frames = rng.randint(1, 4)
                labels += [label] * frames
                groups += [f"S{subject}"] * frames
        parts = assign_groups(labels, groups, shares, seed)
        counts = Counter(zip(labels, parts, strict=True))
        for label, total in Counter(labels).items():
            for part, share in enumerate(shares):
                assert abs(counts[label, part] - total * share) <= 4


def plainly_assigned(labels, groups, shares, seed):
    """One group after the other, by exact sums."""
    rng = np.random.default_rng(seed)
    table = pd.crosstab(np.asarray(groups, object), np.asarray(labels, object))
    counts = np.column_stack([table, table.sum(axis=1)])
    targets = np.outer(shares, counts.sum(axis=0))
    results = []
    for _ in range(RESTARTS):
        order = rng.permutation(len(counts))
        parts, assigned = np.zeros(len(counts), int), np.zeros(targets.shape, int)
        for group in order[np.argsort(-counts[order, -1], kind="stable")]:
            costs = (2 * (assigned - targets) + counts[group]) * counts[group] / targets
            parts[group] = np.argmin([math.fsum(of_part) for of_part in costs])
            assigned[parts[group]] += counts[group]
        results.append((math.fsum(((assigned - targets) ** 2 / targets).ravel()), parts))
    _, best = min(results, key=lambda result: result[0])
    part_of = dict(zip(table.index, best.tolist(), strict=True))
    return [part_of[group] for group in groups]


@pytest.mark.parametrize("regular", [True, False])
def test_orders_that_are_assigned_together_give_what_each_gives_alone(regular):
    rng = random.Random(4)
    for seed in range(15):
        count, classes = rng.randint(20, 300), rng.randint(2, 8)
        labels = ["abcdefgh"[n // 3 % classes] for n in range(count)]
        people = [n // (3 * classes) if regular else rng.randint(1, 40) for n in range(count)]
        groups = [f"S{person}" for person in people]
        # Groups of equal counts tie, but for rounding.
        shares = [[0.6, 0.2, 0.2], [0.7, 0.1, 0.2], [1 / 7] * 7][seed % 3]
        assert assign_groups(labels, groups, shares, seed) == plainly_assigned(
            labels, groups, shares, seed
        )


def test_groups_with_the_same_images_become_one():
    groups = ["A", "A", "B", "C", "C", "D", "E"]
    paths = ["a1", "a2", "b1", "c1", "c2", "d1", "e1"]
    assert join_repeats(groups, paths, {}) == groups
    joined = join_repeats(groups, paths, {"c1": "b1", "d1": "c2", "b1": "a2"})
    assert joined == ["A", "A", "A", "A", "A", "A", "E"]
