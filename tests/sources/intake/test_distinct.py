import itertools

import pytest

from ferpipe.sources.intake.distinct import distinct, key
from ferpipe.sources.intake.member import Member


def members(*paths):
    """Members that are told apart by what they read."""
    return [Member(*path.split("/"), str(number).encode) for number, path in enumerate(paths)]


def names(found):
    return {member.read(): member.name for member in found}


def test_members_of_one_path_are_numbered_in_the_given_order():
    found = names(distinct(members("a/1.png", "a/1.png", "b/1.png", "a/1.png")))
    assert found == {b"0": "1.png", b"1": "1-2.png", b"2": "1.png", b"3": "1-3.png"}


def test_a_number_that_is_taken_is_left_out():
    found = names(distinct(members("a/x.png", "a/X-2.png", "a/x-3.PNG", "a/x.png")))
    assert found == {b"0": "x.png", b"1": "X-2.png", b"2": "x-3.PNG", b"3": "x-4.png"}


def test_names_without_suffix_and_with_dots_keep_their_form():
    found = names(distinct(members("a/face", "a/FACE", "a/S1.AN.1", "a/s1.an.1", "a/.x", "a/.X")))
    assert sorted(found.values()) == sorted(
        ["FACE", "face-2", "S1.AN.1", "s1.an-2.1", ".X", ".x-2"]
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_result_is_sorted_and_does_not_depend_on_the_order_of_different_paths(order):
    paths = ["a/É.png", "a/é.png", "a/E\u0301.png"]
    found = distinct([Member(*paths[n].split("/"), str(n).encode) for n in order])
    assert [member.path for member in found] == sorted(member.path for member in found)
    assert len({key(member.path) for member in found}) == 3
    assert names(found) == names(distinct(members(*paths)))
