"""How much room and time an extraction will take: a few items go through each encoder, on this machine, to see."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..source import UnreadableItem
from .encode import Machines, contents_of
from .item_encoder import ItemEncoder
from .plan import Plan, PlannedItems, PlannedTable

START_SECONDS = 3.0
"""To start the command and import what it needs."""

SAMPLES_A_SECOND = 1000
BYTES_A_SECOND, COMPRESSED_BYTES_A_SECOND = 300e6, 40e6
"""Of tables, with two cores: MIMIC-III's CHARTEVENTS, 33 GB or compressed 4.2 GB, took 107 s."""

WRITTEN_BYTES_A_SECOND = 60e6
"""Of the commit, which lays out, digests and writes durably."""

BYTES_OF_A_SAMPLE = 40 * 76 * 4
"""EHR rows of one stay before compression: about 40 two-hour bins of 76 columns."""

COPIES = 2
"""Parts and the arrays laid out from them exist side by side until the parts are dropped."""

PROBED = 24
"""Items of one batch of the probe: enough to be encoded together as they will be."""


@dataclass(frozen=True)
class Estimate:
    """Bytes on disk and seconds that an extraction will take, on this machine as busy as it is."""

    bytes: int
    seconds: float


class Cost(NamedTuple):
    """What an encoder takes: seconds until its first item is done, seconds and bytes of each other one."""

    start: float
    item: float
    bytes: float


def estimate(plan: Plan, pending: Mapping[str, int], machines: Machines, planned: float) -> Estimate:
    """Estimate what is pending, by modality; ``planned`` seconds went into the plan, which will be made again.

    Raises
    ------
    InputError
        If an encoder cannot be loaded.
    """
    seconds, size = START_SECONDS + planned, 0.0
    for table in plan.tables:
        if samples := pending[table.modality.name]:
            seconds += samples / SAMPLES_A_SECOND + reading_seconds(table)
            size += samples * BYTES_OF_A_SAMPLE
    for items in plan.items:
        if number := pending[items.modality.name]:
            cost = probe(items, machines)
            seconds += cost.start + number * cost.item / max(1, len(machines.devices))
            size += number * cost.bytes
    return Estimate(int(COPIES * size), seconds + size / WRITTEN_BYTES_A_SECOND)


def reading_seconds(table: PlannedTable) -> float:
    """Return how long the files of a table take to read."""
    return sum(
        path.stat().st_size / (COMPRESSED_BYTES_A_SECOND if path.suffix == ".gz" else BYTES_A_SECOND)
        for path in table.modality.inputs
    )


def probe(planned: PlannedItems, machines: Machines) -> Cost:
    """Encode one item, and then two batches, of short items and of long ones, on the first of the devices."""
    encoder = ItemEncoder.of(planned.modality, planned.encoder)
    batches = probed_batches(planned.store.missing(planned.digests), 1 if planned.modality.large else PROBED)
    began = time.perf_counter()
    encoders = encoder.load_onto(machines.devices[:1])[:1]
    outcomes = encoder.outcomes(encoders, [contents_of(batch, planned) for batch in batches], machines.workers)
    next(outcomes)
    started = time.perf_counter()
    encoded = [outcome for batch in outcomes for outcome in batch]
    seconds = (time.perf_counter() - started) / len(encoded)
    size = np.mean([0 if isinstance(outcome, UnreadableItem) else outcome.nbytes for outcome in encoded])
    return Cost(started - began, seconds, float(size))


def probed_batches(items: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return the first item, and ``size`` neighbours around the quarters of the list, which is in order of length."""
    quarters = (max(0, min(len(items) * part // 4 - size // 2, len(items) - size)) for part in (1, 3))
    return [tuple(items[:1]), *(tuple(items[first : first + size]) for first in quarters)]
