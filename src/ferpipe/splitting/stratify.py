"""Stratified assignment of images, or of whole groups such as people, to splits or folds.

Python integers, exact sums and one seeded generator give the same parts on any machine.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

RESTARTS = 32


def quotas(total: int, shares: Sequence[float]) -> list[int]:
    """Divide `total` into integers by largest remainder; the earlier part wins a tie.

    Args:
        total: what is divided.
        shares: the fraction of each part; they sum to 1.
    """
    exact = [total * share for share in shares]
    counts = [math.floor(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: counts[part] - exact[part])
    for part in by_remainder[: total - sum(counts)]:
        counts[part] += 1
    return counts


def join_repeats(
    groups: Sequence[str], paths: Sequence[str], repeats: Mapping[str, str]
) -> list[str]:
    """Join groups that contain the same image, so that it stays in one part.

    Args:
        groups: the group of each image.
        paths: the path of each image.
        repeats: path of each image that repeats an earlier one -> path of that one.

    Returns:
        The group of each image; joined ones have the name of one of them.
    """
    group_of = dict(zip(paths, groups, strict=True))
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while group in parent:
            group = parent[group]
        return group

    for path, first in repeats.items():
        one, other = root(group_of[first]), root(group_of[path])
        if one != other:
            parent[other] = one
    return [root(group) for group in groups]


def assign_images(labels: Sequence[str], shares: Sequence[float], seed: int) -> list[int]:
    """Assign single images, stratified by class.

    Each part gets exactly its quota of all images, and its quota of each class within two images.

    Args:
        labels: the class of each image.
        shares: the fraction of each part; they sum to 1.
        seed: of the random order.

    Returns:
        The part of each image, an index into `shares`.
    """
    rng = np.random.default_rng(seed)
    waiting: dict[str, list[int]] = defaultdict(list)
    for image, label in enumerate(labels):
        waiting[label].append(image)
    for label in sorted(waiting):
        waiting[label] = [waiting[label][i] for i in rng.permutation(len(waiting[label]))]
    parts = [0] * len(labels)
    left = len(labels)
    for part, size in enumerate(quotas(len(labels), shares)):
        classes = sorted(waiting)
        # Fractions of the rest, so that the next part corrects the rounding of this one.
        counts = quotas(size, [len(waiting[label]) / left for label in classes]) if left else []
        for label, count in zip(classes, counts, strict=False):
            for image in waiting[label][:count]:
                parts[image] = part
            waiting[label] = waiting[label][count:]
        left -= size
    return parts


def assign_groups(
    labels: Sequence[str], groups: Sequence[str], shares: Sequence[float], seed: int
) -> list[int]:
    """Assign whole groups (subjects, sequences), stratified by class.

    Greedy: the largest group first, each to the part whose class counts and size it brings nearest
    to their targets (chi-squared). The best of several random orders is kept. Like scikit-learn's
    StratifiedGroupKFold, but for parts of any size.

    Args:
        labels: the class of each image.
        groups: the group of each image; a group is never divided.
        shares: the fraction of each part; they sum to 1.
        seed: of the random orders.

    Returns:
        The part of each image, an index into `shares`.
    """
    rng = np.random.default_rng(seed)
    class_totals = Counter(labels)
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    names = sorted(members)
    targets = [
        {key: share * total for key, total in [*class_totals.items(), (None, len(labels))]}
        for share in shares
    ]
    best: tuple[float, dict[str, int]] | None = None
    for _ in range(RESTARTS):
        order = [names[i] for i in rng.permutation(len(names))]
        order.sort(key=lambda name: -members[name].total())
        part_of, deviation = _assign_in_order(order, members, targets)
        if best is None or deviation < best[0]:
            best = (deviation, part_of)
    assert best is not None
    return [best[1][group] for group in groups]


def _assign_in_order(
    order: Sequence[str],
    members: dict[str, Counter[str]],
    targets: list[dict[str | None, float]],
) -> tuple[dict[str, int], float]:
    """Assign groups one by one; return the part of each and the deviation from the targets."""
    counts: list[Counter[str | None]] = [Counter() for _ in targets]
    part_of = {}
    for name in order:
        # The key None is the size of the part.
        adds = [*members[name].items(), (None, members[name].total())]
        costs = [
            math.fsum(
                (2 * (counts[part][key] - target[key]) + add) * add / target[key]
                for key, add in adds
            )
            for part, target in enumerate(targets)
        ]
        part = costs.index(min(costs))
        part_of[name] = part
        for key, add in adds:
            counts[part][key] += add
    deviation = math.fsum(
        (count[key] - wanted) ** 2 / wanted
        for count, target in zip(counts, targets, strict=True)
        for key, wanted in target.items()
    )
    return part_of, deviation
