"""What turns the items of one modality into rows: the same here and on another machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from ...cache_schema import InputError
from ..ahead import ahead
from ..frozen_encoders import Encode, FrozenEncoder, blamed
from ..source import ItemModality, UnreadableItem
from .parts import Rows
from .reading import LARGE_WAITING_PER_WORKER, WAITING_PER_WORKER, read_all

Outcome = Rows | UnreadableItem
"""The rows ``[rows, D]`` of an item, or why it has none."""


@dataclass(frozen=True)
class ItemEncoder:
    """How items become rows; it can be sent to another process.

    ``read`` gives what is encoded of a file; without it, an item is a text itself. ``here``: reading is too quick to be
    worth other processes. ``large`` as of the modality.
    """

    encoder: FrozenEncoder
    read: Callable[[Path], Any] | None
    here: bool = False
    large: bool = False

    @classmethod
    def of(cls, modality: ItemModality, encoder: FrozenEncoder) -> ItemEncoder:
        """Return how the items of a modality become rows with one of its encoders."""
        read = None if modality.texts is not None else modality.read_text or modality.read or encoder.read
        return cls(encoder, read, modality.read_text is not None, modality.large)

    def load(self) -> Encode:
        """Load the frozen encoder; raises :class:`InputError` if that cannot be done."""
        with blamed(type(self.encoder)):
            return self.encoder.load()

    def load_onto(self, devices: Sequence[str]) -> list[Encode]:
        """Load the frozen encoder onto each device (none: the default one); return one for every thread they serve.

        An encoder that serves one thread is loaded onto the first device alone; raises as :meth:`load`.
        """
        several = self.encoder.on_devices
        if not (several or devices):
            return [self.load()]
        from ..frozen_torch import THREADS_OF_A_GPU, computing_on, default_device, side_by_side

        encoders = []
        for device in (devices if several else devices[:1]) or ("",):
            with computing_on(device):
                threads = THREADS_OF_A_GPU if several and not self.large else 1
                encoders += side_by_side(self.load(), default_device(), threads)
        return encoders

    def outcomes(
        self, encoders: Sequence[Encode], parts: Sequence[Sequence[str]], workers: int
    ) -> Generator[list[Outcome]]:
        """Yield what becomes of the items (paths or texts) of each part; ``workers`` processes read them, or none.

        Of several encoders each has a thread, and the next part goes to the one that is free. The rows of an item
        depend on the other items of its part at most, never on those of other parts.

        Raises
        ------
        InputError
            If the encoder does not give rows for every item.
        """
        contents = self._contents(parts, workers)
        if len(encoders) == 1:
            for part in parts:
                yield self._encoded(encoders[0], islice(contents, len(part)))
            return
        free: SimpleQueue[Encode] = SimpleQueue()
        for encode in encoders:
            free.put(encode)

        def by_a_free_one(items: list[Any]) -> list[Outcome]:
            encode = free.get()
            try:
                return self._encoded(encode, iter(items))
            finally:
                free.put(encode)

        read = (list(islice(contents, len(part))) for part in parts)
        yield from ahead(read, by_a_free_one, len(encoders), len(encoders) + 1)

    def _contents(self, parts: Sequence[Sequence[str]], workers: int) -> Iterator[Any]:
        items = (item for part in parts for item in part)
        if self.read is None:
            return items
        ahead = LARGE_WAITING_PER_WORKER if self.large else WAITING_PER_WORKER
        return read_all(map(Path, items), self.read, 0 if self.here else workers, ahead)

    def _encoded(self, encode: Encode, contents: Iterator[Any]) -> list[Outcome]:
        """Encode the contents that could be read; one that is large is asked for when the one before is done."""
        outcomes: list[Outcome | None] = []

        def readable() -> Iterator[Any]:
            for content in contents:
                outcomes.append(content if isinstance(content, UnreadableItem) else None)
                if outcomes[-1] is None:
                    yield content

        with blamed(type(self.encoder)):
            encoded = [self._checked(rows) for rows in encode(readable())]
        if len(encoded) != (number := outcomes.count(None)):
            raise self._broken(f"gives {len(encoded)} results for {number} items")
        if len(widths := {rows.shape[1] for rows in encoded if not isinstance(rows, UnreadableItem)}) > 1:
            raise self._broken(f"gives rows of {' and '.join(map(str, sorted(widths)))} values")
        following = iter(encoded)
        return [next(following) if outcome is None else outcome for outcome in outcomes]

    def _checked(self, rows: Any) -> Outcome:
        """Return the rows of an item as they are stored; raise if they are none."""
        if isinstance(rows, UnreadableItem):
            return rows
        if not (isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind == "f"):
            raise self._broken("gives something else than rows [rows, D] of floating-point numbers")
        if not len(rows):
            return UnreadableItem("the encoder gives it no rows")
        with np.errstate(over="ignore"):
            halves = rows.astype(np.float16, copy=False)
        if not np.isfinite(halves).all():
            raise self._broken("gives values that are not finite in float16")
        return halves

    def _broken(self, how: str) -> InputError:
        return InputError(f"The encoder {self.encoder.model!r} of {self.encoder.content} cannot be used: it {how}.")
