"""How much a device takes at once, found where it has to be: when its memory runs out."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import torch

from ..cache_schema import InputError

logger = logging.getLogger(__name__)


class Items(Protocol):
    """A list, or an array along its first axis."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


Batch = TypeVar("Batch", bound=Items)
Result = TypeVar("Result")


class BatchLimit:
    """The largest batch of an encoder on its device.

    It starts from a fixed number and not from what is free at the moment, because the batch decides the last digits of
    the rows: on equal devices they are equal.

    Parameters
    ----------
    size
        The limit at the beginning.
    unit
        What it counts, such as ``images``.
    device
        Named in messages.
    """

    def __init__(self, size: int, unit: str, device: torch.device) -> None:
        self.size = size
        self._unit, self._device = unit, device
        self._said = False

    def results(self, forward: Callable[[Batch], Result], batch: Batch, size: int) -> Iterator[Result]:
        """Yield ``forward(batch)``, or that of its halves in order where it is more than the memory holds.

        ``size`` is that of the batch in units of the limit, which is lowered below it and said once.

        Raises
        ------
        InputError
            If the memory does not hold a single item.
        """
        try:
            result = forward(batch)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise InputError(
                    f"The memory of the device {self._device} does not hold a batch of {size} {self._unit}. "
                    "End what else uses it, or name another with --device, such as cpu."
                ) from error
        else:
            yield result
            return
        self._lower(max(1, size // 2))
        middle = len(batch) // 2
        yield from self.results(forward, batch[:middle], size // 2)
        yield from self.results(forward, batch[middle:], size - size // 2)

    def _lower(self, size: int) -> None:
        self.size = min(self.size, size)
        if not self._said:
            self._said = True
            logger.warning(
                "the memory of the device %s ran out: batches are of at most %s %s from here on, or fewer",
                self._device, self.size, self._unit,
            )  # fmt: skip
