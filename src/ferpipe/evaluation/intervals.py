"""Intervals of metrics: over people where they are known, otherwise over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ferpipe.evaluation.metrics import accuracy, by_subject, macro_f1
from ferpipe.evaluation.resampling import DRAWS, bca, weights
from ferpipe.evaluation.wilson import wilson

# With fewer people the bootstrap knows too little of how people differ.
LEAST_PEOPLE = 6
# With fewer people an interval is shown with a caution.
FEW_PEOPLE = 30
CAUTION = f"caution: fewer than {FEW_PEOPLE} people, so it may be too narrow"


@dataclass(frozen=True)
class Interval:
    """An interval of a metric, and how it was computed.

    Args:
        low: lower bound, 0..1.
        high: upper bound, 0..1.
        method: bootstrap over subjects, Wilson over subjects or Wilson over images.
        people: how many people it rests on; None where a subject is not known.
    """

    low: float
    high: float
    method: str
    people: int | None = None


def basis(method: str, people: int | None, *, caution: bool = True) -> str:
    """The method of an interval and its number of people, with a caution where they are few.

    Args:
        method: as in `Interval`.
        people: as in `Interval`.
        caution: False where the caution is already given for the same people.
    """
    if people is None:
        return method
    added = f"; {CAUTION}" if caution and people < FEW_PEOPLE else ""
    return f"{method}, {people:,} {'person' if people == 1 else 'people'}{added}"


def note(bases: Sequence[tuple[str, int | None]]) -> str:
    """A sentence for a table or chart of intervals: their methods, and a caution where due.

    Args:
        bases: method and number of people of each interval, as in `Interval`.
    """
    methods = " or ".join(dict.fromkeys(method for method, _ in bases))
    people = [count for _, count in bases if count is not None]
    if not people:
        return f"Intervals: {methods}."
    few, most = min(people), max(people)
    counted = f"{few:,}" if few == most else f"{few:,} to {most:,}"
    caution = f"; {CAUTION}" if few < FEW_PEOPLE else ""
    return f"Intervals: {methods}, {counted} people{caution}."


def over_images(hits: float, images: int, confidence: float) -> Interval:
    """Wilson's interval of a share of images, for images of people who are not known."""
    return Interval(*wilson(hits, images, confidence), "Wilson over images")


def bootstrap(
    counts: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], confidence: float
) -> Interval:
    """The bootstrap interval of a statistic over people drawn again.

    Whole subjects are drawn with replacement, because the images of one are right or wrong
    together. The interval is BCa (Efron 1987, https://doi.org/10.1080/01621459.1987.10478410) at a
    level raised for few subjects (Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789,
    section 5.3). In simulations of 24 and 118 people of 8 images, with true accuracies of 0.6 to
    0.97 and correlations of 0.1 and 0.3 within a person, 95% intervals held the truth in 93.5% to
    96.8% of 1500 cases; Wilson's over images in 71% to 89%, plain percentiles in 85% to 95% of 800.
    With few people, or with more images of each, it holds less: of 1000 cases each with 21 images
    a person and the same accuracies and correlations, 9 people held it in 92.1% to 95.2%, 24 people
    in 85.2% to 96.1%, the least at an accuracy of 0.97 and a correlation of 0.3.

    It is Wilson's interval with n = people where draws say nothing: with fewer than LEAST_PEOPLE
    people, and where all draws are the same, such as where every image is right.

    Args:
        counts: int (subjects, classes, classes), as `by_subject` gives them.
        statistic: from counts (m, classes, classes) to float (m,), such as `accuracy`.
        confidence: the level, such as 0.95.
    """
    people, total = len(counts), counts.sum(axis=0)
    value = float(statistic(total[np.newaxis])[0])
    if people < LEAST_PEOPLE:
        return _wilson_over_people(value, people, confidence)
    drawn = weights(people) @ counts.reshape(people, -1).astype(np.float64)
    draws = statistic(drawn.reshape(DRAWS, *total.shape))
    return _interval(draws, value, statistic(total - counts), confidence)


def bootstrap_shares(hits: np.ndarray, images: np.ndarray, confidence: float) -> list[Interval]:
    """The bootstrap intervals over people of several shares, such as the recall of each class.

    As `bootstrap`, with the same draws of people for every share. A draw without any image of a
    class, or of a bin, has no share and is left out; the level is raised for, and LEAST_PEOPLE
    counted in, the people who have images of it, and `Interval.people` is their number. A bin whose
    images are all of one person has Wilson's interval with n = 1: it says nothing of others.

    In simulations of 1000 cases each, with true shares of 0.6, 0.85 and 0.97 and correlations
    within a person of 0.1, 0.3 and 0.7, 95% intervals held the truth as often as this, Wilson's
    over images on the right:

    ======================================  ==========  ==============  ==============
    images                                  people      this            Wilson, images
    ======================================  ==========  ==============  ==============
    3 of every person (a class)             9           95.5% to 99.9%  76.3% to 93.1%
    3 of every person                       24          93.8% to 99.4%  77.4% to 92.9%
    3 of every person                       118         94.7% to 96.2%  78.6% to 94.7%
    3 of 40% of the people                  9           94.8% to 99.3%  75.2% to 95.0%
    3 of 40% of the people                  24          96.1% to 99.8%  78.8% to 93.8%
    3 of 15% of the people                  118         95.8% to 99.4%  79.2% to 95.1%
    0 to 8 of a person, 2 on average (bin)  9           96.5% to 99.5%  70.6% to 93.1%
    0 to 8 of a person                      24          95.7% to 99.6%  67.8% to 93.1%
    0 to 8 of a person                      118         90.7% to 96.8%  69.9% to 91.0%
    3 of each (Wilson over subjects)        2, 3 and 5  91.4% to 100%
    ======================================  ==========  ==============  ==============

    Args:
        hits: int (people, shares), how many images of each person are right.
        images: int (people, shares), of how many.
        confidence: the level, such as 0.95.

    Returns:
        An interval for each share; 0..1 where there are no images.
    """
    hits, images = hits.astype(np.float64), images.astype(np.float64)
    drawn_hits, drawn_images = (weights(len(hits)) @ counts for counts in (hits, images))
    intervals_of_shares = []
    for share in range(hits.shape[1]):
        has = images[:, share] > 0
        people, right, of = int(has.sum()), hits[has, share], images[has, share]
        value = float(right.sum() / max(of.sum(), 1))
        if people < LEAST_PEOPLE:
            intervals_of_shares.append(_wilson_over_people(value, people, confidence))
            continue
        with_images = drawn_images[:, share] > 0
        draws = drawn_hits[with_images, share] / drawn_images[with_images, share]
        without = (right.sum() - right) / (of.sum() - of)
        intervals_of_shares.append(_interval(draws, value, without, confidence))
    return intervals_of_shares


def _wilson_over_people(value: float, people: int, confidence: float) -> Interval:
    bounds = wilson(value * people, people, confidence)
    return Interval(*bounds, "Wilson over subjects", people)


def _interval(draws: np.ndarray, value: float, without: np.ndarray, confidence: float) -> Interval:
    """BCa from draws, or Wilson's over people where leaving out any person changes nothing.

    Args:
        draws: the statistic of each draw.
        value: the statistic of all people.
        without: the statistic of all people but each one.
        confidence: the level, such as 0.95.
    """
    people = len(without)
    if np.ptp(without) < 1e-12:  # equal but for rounding
        return _wilson_over_people(value, people, confidence)
    bounds = bca(draws, value, without, confidence)
    return Interval(*bounds, "bootstrap over subjects", people)


def known(subjects: Sequence[str]) -> bool:
    """Whether the subject of every image is known."""
    return bool(subjects) and all(subjects)


def of_shares(
    right: np.ndarray,
    groups: np.ndarray,
    count: int,
    subjects: Sequence[str],
    confidence: float,
) -> list[Interval]:
    """The interval of the share that is right in each group of images.

    Args:
        right: bool (n,), whether each image is right.
        groups: int (n,), its group, such as its class: 0 to count - 1.
        count: how many groups there are.
        subjects: who each image shows (n); nobody, or an empty one, where that is not known.
        confidence: the level, such as 0.95.

    Returns:
        `bootstrap_shares` over people; where a subject is not known, Wilson's over images.
    """
    if not known(subjects):
        hits = np.bincount(groups, weights=right, minlength=count)
        images = np.bincount(groups, minlength=count)
        return [
            over_images(float(hits[group]), int(images[group]), confidence)
            for group in range(count)
        ]
    names, who = np.unique(np.asarray(subjects), return_inverse=True)
    hits, images = np.zeros((2, len(names), count), np.int64)
    np.add.at(hits, (who, groups), right)
    np.add.at(images, (who, groups), 1)
    return bootstrap_shares(hits, images, confidence)


def of_accuracy(
    labels: np.ndarray,
    predicted: np.ndarray,
    subjects: Sequence[str],
    classes: int,
    confidence: float,
) -> Interval:
    """The interval of accuracy; see `intervals`."""
    if known(subjects):
        return bootstrap(by_subject(labels, predicted, subjects, classes), accuracy, confidence)
    return over_images(int((predicted == labels).sum()), len(labels), confidence)


def intervals(
    labels: np.ndarray,
    predicted: np.ndarray,
    subjects: Sequence[str],
    classes: int,
    confidence: float,
) -> tuple[Interval, Interval | None]:
    """The intervals of accuracy and macro-F1: over subjects where they are known.

    Args:
        labels: int (n,), class indices.
        predicted: int (n,), class indices.
        subjects: who each image shows (n); nobody, or an empty one, where that is not known.
        classes: how many classes there are.
        confidence: the level, such as 0.95.

    Returns:
        Where a subject is not known, Wilson's interval over images and none for macro-F1.
    """
    of_f1 = None
    if known(subjects):
        of_f1 = bootstrap(by_subject(labels, predicted, subjects, classes), macro_f1, confidence)
    return of_accuracy(labels, predicted, subjects, classes, confidence), of_f1
