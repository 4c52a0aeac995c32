"""One pass over the events for all who need them: every set of variables, and whoever else asks."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from .....cache_schema import naming
from ....source import Block
from ....temporary import TemporaryFolder
from .binning import SetBins
from .reading import ConceptEvents
from .scores import Scores

Consumer = Callable[[pl.DataFrame], None]
"""Takes the events of a group of subjects, as :meth:`.ConceptEvents.of_subjects` yields them."""


class SharedPass:
    """Reads the events once, when somebody first needs what comes of them; ``scores`` are added to them."""

    def __init__(self, events: ConceptEvents, scores: Scores | None = None) -> None:
        self.events, self.scores = events, scores
        self._consumers: list[Consumer] = []
        self._done = False

    def add(self, consumer: Consumer) -> None:
        """Let ``consumer`` take every group of events."""
        self._consumers.append(consumer)

    @property
    def done(self) -> bool:
        """Whether the pass was made."""
        return self._done

    def run(self) -> None:
        """Make the pass, unless it was made."""
        if self._done:
            return
        for events in self._groups():
            for consumer in self._consumers:
                consumer(events)
        self._done = True

    def _groups(self) -> Iterator[pl.DataFrame]:
        if self.scores is None:
            yield from self.events.of_subjects()
            return
        for events in self.events.of_subjects():
            yield self.scores.added_to(events)
        if (others := self.scores.of_others()) is not None:
            yield others


class KeptBlocks:
    """The blocks of one set, in a temporary folder until they are taken."""

    def __init__(self, bins: SetBins) -> None:
        temporary = TemporaryFolder()
        weakref.finalize(self, temporary.remove)  # at the latest when Python ends
        self._folder, self._bins = temporary.path, bins
        self._files: list[Path] = []

    def take(self, events: pl.DataFrame) -> None:
        """Keep the blocks that come of the events of some subjects."""
        for block in self._bins.blocks(events):
            file = self._folder / f"block-{len(self._files):05d}.npz"
            first = np.asarray(block.first_hours)
            with naming(file):
                np.savez(
                    file, ids=block.sample_ids, lengths=block.lengths, values=block.values, time=block.time, first=first
                )
            self._files.append(file)

    def blocks(self) -> Iterator[Block]:
        """Yield what was kept."""
        for file in self._files:
            with np.load(file) as saved:
                block = Block(saved["ids"], saved["lengths"], saved["values"], saved["time"], saved["first"])
            yield block
