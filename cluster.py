"""Work on other machines: a Dask cluster as an executor."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager

from .cache_schema import InputError, OmniFuseError

AGAIN = "give the same command again: nothing finished is lost."


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Provide the workers of a Dask scheduler; they must see the same files under the same absolute paths.

    Raises
    ------
    InputError
        If nobody answers at the address.
    OmniFuseError
        If the scheduler is lost, or a task brings one worker after the other down.
    """
    from distributed import Client, KilledWorker

    try:
        client = Client(address, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address} ({error}). Start one, or leave --scheduler out."
        ) from error
    with client:
        try:
            yield client.get_executor()
        except CancelledError as error:
            raise OmniFuseError(f"The Dask scheduler at {address} was lost. Start it and {AGAIN}") from error
        except KilledWorker as error:
            raise OmniFuseError(
                f"Several workers of {address} ended over the same task, most likely because memory ran out. Give them "
                f"more, and {AGAIN}"
            ) from error
