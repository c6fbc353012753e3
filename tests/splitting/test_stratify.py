import json
import random
from collections import Counter, defaultdict

import pytest

from ferpipe.splitting.stratify import assign_groups, assign_images, quotas


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
        (10, [0.6, 0.2, 0.2], [6, 2, 2]),
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
        found = quotas(total, shares)
        assert sum(found) == total
        assert all(
            abs(one - total * share) < 1 + 1e-6 for one, share in zip(found, shares, strict=True)
        )


def test_single_images_are_assigned_in_exact_sizes_and_nearly_exact_class_shares():
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


def test_class_shares_that_divide_exactly_are_exact():
    labels = ["anger"] * 50 + ["joy"] * 100
    parts = assign_images(labels, [0.6, 0.2, 0.2], seed=3)
    assert Counter(zip(labels, parts, strict=True)) == {
        ("anger", 0): 30, ("anger", 1): 10, ("anger", 2): 10,
        ("joy", 0): 60, ("joy", 1): 20, ("joy", 2): 20,
    }  # fmt: skip


def test_groups_are_never_divided():
    rng = random.Random(2)
    for seed in range(30):
        labels = random_labels(rng, rng.randint(1, 150))
        groups = [f"S{rng.randint(1, 30)}" for _ in labels]
        part_of = defaultdict(set)
        shares = random_shares(rng)
        parts = assign_groups(labels, groups, shares, seed)
        for group, part in zip(groups, parts, strict=True):
            part_of[group].add(part)
        assert all(len(found) == 1 for found in part_of.values())
        assert set(parts) <= set(range(len(shares)))


def test_groups_that_all_look_alike_are_assigned_in_exact_shares():
    classes = ["anger", "joy", "fear"]
    groups = [f"S{subject}" for subject in range(20) for _ in classes]
    labels = classes * 20
    parts = assign_groups(labels, groups, [0.6, 0.2, 0.2], seed=1)
    counts = Counter(zip(labels, parts, strict=True))
    assert {counts[label, 0] for label in classes} == {12}
    assert {counts[label, part] for label in classes for part in (1, 2)} == {4}


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


def test_the_same_seed_assigns_the_same_and_another_seed_another():
    labels = random_labels(random.Random(4), 100)
    groups = [f"S{number // 4}" for number in range(100)]
    for assign in (
        lambda seed: assign_images(labels, [0.8, 0.2], seed),
        lambda seed: assign_groups(labels, groups, [0.8, 0.2], seed),
    ):
        assert assign(1) == assign(1)
        assert len({tuple(assign(seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize("rename", [lambda name: name, lambda name: f"person {name}"])
def test_what_groups_are_called_matters_only_by_its_order(rename):
    labels = random_labels(random.Random(5), 60)
    names = [f"S{number // 3:02}" for number in range(60)]
    assert assign_groups(labels, [rename(name) for name in names], [0.5, 0.5], 1) == assign_groups(
        labels, names, [0.5, 0.5], 1
    )


ASSIGN = """
import json
from ferpipe.splitting.stratify import assign_groups, assign_images
labels = [["joy", "anger", "fear"][i * i % 3] for i in range(90)]
groups = [f"S{i * 7 % 25}" for i in range(90)]
shares = [0.6, 0.2, 0.2]
print(json.dumps([assign_images(labels, shares, 7), assign_groups(labels, groups, shares, 7)]))
"""


def test_the_hash_seed_of_python_changes_nothing(run_python):
    assigned = [run_python("-c", ASSIGN, PYTHONHASHSEED=seed).stdout for seed in ("0", "1", "2")]
    assert len(json.loads(assigned[0])[1]) == 90
    assert len(set(assigned)) == 1
