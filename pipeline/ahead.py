"""Items that other threads make ready while those before them are worked on."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count, islice
from threading import current_thread
from typing import TypeVar

AHEAD = 4
"""So many items are made ready at most, unless said otherwise."""
WORKERS = 2
NUMBERS = count()
"""By which threads of one call are told from those of another."""

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

    own = f"ahead-{next(NUMBERS)}"
    taker, pool = (ThreadPoolExecutor(threads, thread_name_prefix=own) for threads in (1, workers))
    try:
        coming = deque(pool.submit(worked, taker.submit(take)) for _ in range(waiting))
        while result := coming.popleft().result():
            coming.append(pool.submit(worked, taker.submit(take)))
            yield from result
    finally:
        # whoever forgets it leaves it to the garbage collection, which may happen in a thread of its own
        others = not current_thread().name.startswith(f"{own}_")
        for executor in (pool, taker):
            executor.shutdown(wait=others, cancel_futures=True)
