"""Work on many items in several threads, with results in order and in little memory."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ferpipe.core import machine

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items that a thread takes at a time: handing over single small ones takes longer than the work.
MOST_ITEMS, MOST_BYTES = 64, 2**18
# Mean bytes of the items from which on threads are faster than handing over Python's lock costs.
LARGE = 2**13


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    size: Callable[[Item], int],
    workers: int,
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order.

    Args:
        function: what the threads do; it should leave Python's lock for most of its time.
        items: read by the caller's thread, a few pieces of work ahead.
        size: bytes of an item, so that large ones are few at a time.
        workers: threads; 0: one per core.
    """
    workers = workers or machine.cores()
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        for piece in pieces(items, size):
            work = functools.partial(list, map(function, piece))
            large = sum(map(size, piece)) >= LARGE * len(piece)
            pending.append(pool.submit(work).result if large else work)
            if len(pending) > 2 * workers:
                yield from pending.popleft()()
        while pending:
            yield from pending.popleft()()


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], most: int, workers: int = 1
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in their order, computed by threads in advance.

    At most `most` results wait. Close the generator (`contextlib.closing`) if not all are taken: it
    waits for those that are being computed.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def pieces(items: Iterable[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield the items in lists, small enough to share them out and large enough to pay for it."""
    piece, total = [], 0
    for item in items:
        piece.append(item)
        total += size(item)
        if len(piece) == MOST_ITEMS or total >= MOST_BYTES:
            yield piece
            piece, total = [], 0
    yield piece
