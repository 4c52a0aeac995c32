"""Events in buckets of subjects, on disk where there are many, so that memory does not grow with their number."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ...cache_schema import InputError, system_reason

ROWS_HELD = 750_000
"""Events that wait in memory before they are written."""

ROWS_SORTED = 125_000
"""Events that are sorted into their buckets at once."""

ROWS_TOGETHER = 500_000
"""Neighbouring buckets are taken together up to about this many events."""

SUBJECTS_PER_BUCKET = 64
MOST_BUCKETS = 512

Piece = pl.DataFrame | Path
"""Events of one bucket, in memory or on disk."""


class EventStore:
    """Frames with a column ``subject`` (running number below ``subjects``), kept by bucket of subjects."""

    def __init__(self, folder: Path, subjects: int) -> None:
        self._folder = folder
        self._per_bucket = max(SUBJECTS_PER_BUCKET, -(-subjects // MOST_BUCKETS))
        self._fresh: list[pl.DataFrame] = []
        self._held: dict[int, list[pl.DataFrame]] = defaultdict(list)
        self._files: dict[int, list[Path]] = defaultdict(list)
        self._rows: dict[int, int] = defaultdict(int)
        self._rows_held = 0
        folder.mkdir(parents=True)

    def add(self, events: pl.DataFrame) -> None:
        """Take events; they are written when enough have come together."""
        self._fresh.append(events)
        if sum(map(len, self._fresh)) >= ROWS_SORTED:
            self._sort()
        if self._rows_held >= ROWS_HELD:
            self._write()

    def _sort(self) -> None:
        """Move the fresh events into their buckets."""
        if not self._fresh:
            return
        bucket = (pl.col("subject") // self._per_bucket).alias("bucket")
        events = pl.concat(self._fresh).with_columns(bucket)
        for (number,), part in events.partition_by("bucket", as_dict=True, include_key=False).items():
            self._held[number].append(part)
            self._rows[number] += len(part)
        self._fresh = []
        self._rows_held += len(events)

    def _write(self) -> None:
        while self._held:  # what is written is let go at once
            number, parts = self._held.popitem()
            file = self._folder / f"{number:04d}-{len(self._files[number]):04d}.arrow"
            try:
                pl.concat(parts).write_ipc(file, compression="lz4")
            except OSError as error:
                raise InputError(
                    f"{self._folder} cannot take the events that wait there: {system_reason(error) or error}. "
                    "Set TMPDIR to a folder with more room."
                ) from error
            self._files[number].append(file)
        self._rows_held = 0

    def groups(self) -> list[list[Piece]]:
        """Return all events in groups of buckets, each subject's in one of them, for :func:`read_group`."""
        self._sort()
        groups: list[list[Piece]] = []
        room = 0
        for number in sorted(self._rows):
            if self._rows[number] > room:
                groups.append([])
                room = ROWS_TOGETHER
            groups[-1] += [*self._files[number], *self._held.pop(number, ())]
            room -= self._rows[number]
        return groups


def read_group(pieces: Sequence[Piece]) -> pl.DataFrame:
    """Return the events of a group; its files are removed."""
    events = pl.concat(
        [piece if isinstance(piece, pl.DataFrame) else pl.scan_ipc(piece, glob=False).collect() for piece in pieces]
    )
    for piece in pieces:
        if isinstance(piece, Path):
            piece.unlink()
    return events
