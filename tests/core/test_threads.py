import contextlib
import itertools
import threading
import time

import pytest

from ferpipe.core import threads

SIZES = {"small": 1, "large": threads.LARGE}


@pytest.fixture(params=SIZES)
def ordered(request):
    """`threads.ordered` for small or large items."""

    def run(function, items, workers=3):
        return threads.ordered(function, items, lambda item: SIZES[request.param], workers)

    return run


@pytest.mark.parametrize("count", [0, 1, threads.MOST_ITEMS, 1000])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_are_in_the_order_of_the_items(ordered, count, workers):
    def slow_at_times(item):
        if item % 97 == 0:
            time.sleep(0.002)
        return -item

    assert list(ordered(slow_at_times, range(count), workers)) == [-n for n in range(count)]


def test_items_are_read_a_few_pieces_ahead(ordered):
    read = itertools.count()
    results = ordered(lambda item: item, (next(read) for _ in range(10**6)))
    next(results)
    assert next(read) <= 8 * threads.MOST_ITEMS
    results.close()


def test_large_items_are_few_at_a_time():
    read = itertools.count()
    items = (next(read) for _ in range(10**6))
    results = threads.ordered(lambda item: item, items, lambda item: threads.MOST_BYTES, 3)
    next(results)
    assert next(read) <= 8
    results.close()


def test_only_large_items_go_to_threads():
    def used(size):
        found = threads.ordered(lambda _: threading.get_ident(), range(10), lambda _: size, 1)
        return set(found) - {threading.get_ident()}

    assert not used(threads.LARGE - 1)
    assert used(threads.LARGE)


def fail_at(number):
    if number == 300:
        raise ValueError(number)
    return number


def test_an_error_of_the_function_comes_after_the_results_of_earlier_pieces(ordered):
    results = []
    with pytest.raises(ValueError, match="300"):
        for result in ordered(fail_at, range(1000)):
            results.append(result)
    assert results == list(range(len(results)))
    assert 300 - threads.MOST_ITEMS < len(results) <= 300


def test_an_error_of_the_items_is_raised(ordered):
    with pytest.raises(ValueError, match="300"):
        list(ordered(abs, map(fail_at, range(1000))))


# Ahead


def test_results_made_ahead_are_in_order_and_few():
    made = []
    results = threads.ahead(lambda item: made.append(item) or -item, range(100), most=2)
    for taken, result in enumerate(results):
        assert result == -taken
        assert len(made) <= taken + 1 + 2
    assert made == list(range(100))


def test_an_error_ahead_comes_in_its_turn():
    results = threads.ahead(lambda item: 1 // (3 - item), range(9), most=4)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_thread_ends_when_its_reader_does(error):
    before = threading.active_count()
    made = []
    with (
        pytest.raises(error),
        contextlib.closing(threads.ahead(made.append, itertools.count(), most=2)) as results,
    ):
        for _ in zip(range(3), results, strict=False):
            pass
        raise error
    assert threading.active_count() == before
    assert len(made) <= 3 + 1 + 2
