"""Items that other threads make ready while those before them are worked on."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

AHEAD = 4
"""So many items are made ready at most, unless said otherwise."""
WORKERS = 2

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterator[T], work: Callable[[T], R], workers: int = WORKERS, waiting: int = AHEAD) -> Generator[R]:
    """Yield ``work(item)`` of all items in order: one thread takes the items, ``workers`` work on them.

    At most ``waiting`` items are taken before they are asked for.
    """

    def take() -> list[T]:
        return list(islice(items, 1))

    def worked(taken: Future[list[T]]) -> list[R]:
        return [work(item) for item in taken.result()]

    with ThreadPoolExecutor(1) as taker, ThreadPoolExecutor(workers) as pool:
        coming = deque(pool.submit(worked, taker.submit(take)) for _ in range(waiting))
        try:
            while result := coming.popleft().result():
                coming.append(pool.submit(worked, taker.submit(take)))
                yield from result
        finally:
            pool.shutdown(cancel_futures=True)
            taker.shutdown(cancel_futures=True)
