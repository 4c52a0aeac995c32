"""Items read one by one, in this process or ahead of their use in several others."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ...cache_schema import OmniFuseError
from ...processes import cores, worker_pool
from ..source import UnreadableItem, unreadable

Content = TypeVar("Content")

WAITING_PER_WORKER = 16
"""Items asked for ahead of the one that is due: enough to keep workers busy, of images about 0.8 MB of results."""

LARGE_WAITING_PER_WORKER = 2
"""The same for large ones: a series of 300 slices takes 15 MB."""


def read_all(
    paths: Iterable[Path], read: Callable[[Path], Content], workers: int, ahead: int = WAITING_PER_WORKER
) -> Iterator[Content | UnreadableItem]:
    """Yield what ``read`` gives of each file, or why it has nothing, in the order of ``paths``.

    ``workers`` spawned processes, one for each core at most, read ``ahead`` items each before the consumer asks for
    them; they end with this process, however it ends. 0 reads in this process.

    Raises
    ------
    OmniFuseError
        If a process was killed from outside.
    """
    read_one = partial(_content_or_reason, read)
    if workers == 0:
        yield from map(read_one, paths)
        return
    workers = min(workers, cores())  # to start each takes the time of 30 images, and more than cores read no faster
    try:
        with worker_pool(workers) as pool:
            yield from _in_order(pool, read_one, iter(paths), workers * ahead)
    except BrokenProcessPool as error:
        raise OmniFuseError(
            "A process that read items was killed, most likely because memory ran out. Give the same command again "
            "with fewer --workers; what is encoded is kept."
        ) from error


def _in_order(
    pool: ProcessPoolExecutor,
    read: Callable[[Path], Content | UnreadableItem],
    paths: Iterator[Path],
    ahead: int,
) -> Iterator[Content | UnreadableItem]:
    waiting: deque[Future[Content | UnreadableItem]] = deque(pool.submit(read, path) for path in islice(paths, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(read, path) for path in islice(paths, 1))
        yield result


def _content_or_reason(read: Callable[[Path], Content], path: Path) -> Content | UnreadableItem:
    try:
        with unreadable("damaged, or of a kind that the encoder does not read"):
            return read(path)
    except UnreadableItem as reason:
        return reason
