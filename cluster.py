"""Work on other machines: a Dask cluster as an executor."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from .cache_schema import InputError
from .cache_schema.packages import require


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Provide the workers of a Dask scheduler; they must see the same files under the same absolute paths.

    Raises
    ------
    InputError
        If the package distributed is missing, or nobody answers at the address.
    """
    require("distributed", "--scheduler")
    from distributed import Client

    try:
        client = Client(address, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"No Dask scheduler answers at {address} ({error}). Start one, or leave --scheduler out."
        ) from error
    with client:
        yield client.get_executor()
