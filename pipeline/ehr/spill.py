"""Events on disk in buckets of subjects, so that memory does not grow with the number of events."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polars as pl

ROWS_HELD = 1_000_000
"""Events that wait in memory before they are written."""

ROWS_TOGETHER = 500_000
"""Neighbouring buckets are read together up to about this many events."""

SUBJECTS_PER_BUCKET = 64
MOST_BUCKETS = 512


class EventStore:
    """Frames with a column ``subject`` (running number below ``subjects``), kept by bucket of subjects."""

    def __init__(self, folder: Path, subjects: int) -> None:
        self._folder = folder
        self._per_bucket = max(SUBJECTS_PER_BUCKET, -(-subjects // MOST_BUCKETS))
        self._held: list[pl.DataFrame] = []
        self._rows_held = 0
        self._files: dict[int, list[Path]] = defaultdict(list)
        self._rows: dict[int, int] = defaultdict(int)
        folder.mkdir(parents=True)

    def add(self, events: pl.DataFrame) -> None:
        """Take events; they are written when enough have come together."""
        self._held.append(events)
        self._rows_held += len(events)
        if self._rows_held >= ROWS_HELD:
            self._flush()

    def groups(self) -> Iterator[pl.DataFrame]:
        """Yield all events, each subject's in one frame; the files are removed as they are read."""
        self._flush()
        buckets = sorted(self._files)
        while buckets:
            taken, rows = 0, 0
            while taken < len(buckets) and (taken == 0 or rows + self._rows[buckets[taken]] <= ROWS_TOGETHER):
                rows += self._rows[buckets[taken]]
                taken += 1
            files = [file for bucket in buckets[:taken] for file in self._files[bucket]]
            yield pl.concat([pl.read_ipc(file) for file in files])
            for file in files:
                file.unlink()
            buckets = buckets[taken:]

    def _flush(self) -> None:
        if not self._rows_held:
            return
        bucket = pl.col("subject") // self._per_bucket
        held = pl.concat(self._held).with_columns(bucket=bucket)
        self._held, self._rows_held = [], 0
        for (number,), part in held.partition_by("bucket", as_dict=True, include_key=False).items():
            file = self._folder / f"{number:04d}-{len(self._files[number]):04d}.arrow"
            part.write_ipc(file, compression="lz4")
            self._files[number].append(file)
            self._rows[number] += len(part)
