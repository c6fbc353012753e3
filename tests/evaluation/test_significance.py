import itertools

import numpy as np
import pytest

from ferpipe.evaluation import significance


def test_mcnemar_is_the_binomial_test_of_the_images_that_changed_sides():
    # 10 against 2: 2 * (1 + 12 + 66) / 2**12.
    assert significance.mcnemar(2, 10) == pytest.approx(2 * 79 / 4096)


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (0, 5), (2, 10), (7, 7), (100, 60), (1, 0)])
def test_with_one_image_a_person_the_test_over_people_is_mcnemars(lost, won):
    p_value = significance.sign_flip([1] * won + [-1] * lost + [0, 0])
    assert p_value == pytest.approx(significance.mcnemar(lost, won))
    assert p_value == pytest.approx(significance.mcnemar(won, lost))


def test_the_test_over_people_counts_all_signs():
    balances = [3, -1, 2, 2, 0, -1, 4]
    sums = [
        abs(sum(sign * balance for sign, balance in zip(signs, balances, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(balances))
    ]
    expected = np.mean([each >= sum(balances) for each in sums])
    assert significance.sign_flip(balances) == pytest.approx(expected)
