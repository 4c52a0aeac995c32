"""Worker processes that never outlive the work they were started for."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_connections
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any, TypeVar, cast

from .cache_schema import InputError, OmniFuseError

Result = TypeVar("Result")

WAKE_SECONDS = 0.5

_BETWEEN_TASKS = threading.Lock()
"""Held by a worker except while it runs a task: one that ended while sending a result would leave half a result in the
pipe that all workers share, and its receiver would wait for the rest for ever."""


def cores() -> int:
    """Return how many cores this process may use; a batch system gives it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., None] | None = None, *args: Any
) -> Iterator[ProcessPoolExecutor]:
    """Provide spawned processes, each of which first calls ``initializer(*args)``.

    They end when the block ends: after their work if it ends well, at once if it is left by an exception (an interrupt,
    for example) or if this process is killed. An interrupt from the keyboard reaches this process alone.

    Raises
    ------
    InputError
        If it is none.
    OmniFuseError
        If the pool broke before any process was ready.
    """
    if workers < 1:
        raise InputError(f"workers = {workers}; it takes one at least.")
    context = get_context("spawn")
    lifeline, end = context.Pipe(duplex=False)
    ready = context.Event()
    pool = _InterruptiblePool(workers, context, _start, (lifeline, ready, initializer, args))
    try:
        with pool.watched():
            try:
                yield pool
                pool.shutdown()
            finally:
                end.close()
                pool.shutdown(cancel_futures=True)
    except Exception as error:
        if BrokenProcessPool in (type(error), type(error.__cause__)) and not ready.is_set():
            raise OmniFuseError(
                "No worker process could start; above they say why. Each begins by running the script that was called: "
                'if that is yours, put its work under `if __name__ == "__main__":`, or train with one worker.'
            ) from error
        raise
    finally:
        lifeline.close()


def results(futures: Sequence[Future[Result]]) -> list[Result]:
    """Return the results of all futures in order, or raise the first exception as soon as there is one."""
    for _ in as_done(futures):
        pass
    return [future.result() for future in futures]


def as_done(futures: Iterable[Future[Result]]) -> Iterator[Future[Result]]:
    """Yield futures as they are done, or raise the first exception as soon as there is one."""
    waiting = set(futures)
    while waiting:
        # in short pieces: polars lets waiting go on after a signal, and an interrupt would not be noticed
        done, waiting = wait(waiting, WAKE_SECONDS, FIRST_COMPLETED)
        for future in done:
            future.result()
        yield from done


class ThisProcess(Executor):
    """Does what is submitted where it is submitted, before it returns; an interrupt is not kept for later."""

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Return a future that is done."""
        future: Future[Result] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class _InterruptiblePool(ProcessPoolExecutor):
    """A pool whose workers may be ended while they run a task, and only then."""

    _manager: threading.Thread | None = None

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        return super().submit(_run_interruptibly, function, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do as any pool, but leave the pipe of results to the watcher: two that close it would close another file."""
        self._manager = cast("threading.Thread | None", self._executor_manager_thread) or self._manager
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        if wait and self._manager is not None:
            self._manager.join()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let nobody wait for the rest of a result whose worker was killed while it sent it."""
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended, self._processes, self._result_queue), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    @staticmethod
    def _watch(ended: threading.Event, workers: Mapping[int, BaseProcess], pipe: Any) -> None:
        """Look after the workers until ``ended`` is set.

        The executor notices that a worker is gone, but not while it waits for the rest. It is given a moment, then the
        pipe is closed, and all that were waiting are told that the pool is broken.
        """
        waiting = False
        while not ended.wait(WAKE_SECONDS):
            processes = list(workers.values())
            if not wait_for_connections([process.sentinel for process in processes], 0):
                continue
            if waiting:
                for process in processes:
                    process.kill()
                pipe._writer.close()
                return
            waiting = True


def _run_interruptibly(function: Callable[..., Result], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
    _BETWEEN_TASKS.release()
    try:
        return function(*args, **kwargs)
    finally:
        _BETWEEN_TASKS.acquire()


def _start(lifeline: Connection, ready: Event, initializer: Callable[..., None] | None, args: tuple[Any, ...]) -> None:
    """Prepare a worker: it ends with its parent, or as soon as it may when the other end of the lifeline is closed."""
    ready.set()
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for_connections([lifeline, parent.sentinel])
        while parent.is_alive() and not _BETWEEN_TASKS.acquire(timeout=WAKE_SECONDS):
            continue
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    if initializer is not None:
        initializer(*args)
    _BETWEEN_TASKS.acquire()
