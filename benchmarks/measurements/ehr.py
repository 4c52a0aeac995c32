"""Raw MIMIC-III tables to EHR tensors and labels: beside the published code, and how time and memory grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .measure import Measured, call, exponent, extracted, in_turns, omnifuse, remove_cache, summary
from .row import Family, Figure, Found, Row, Setting

PUBLISHED_CODE = (55, 51, 67, 13)
"""Seconds of the steps of YerevaNN/mimic3-benchmarks at ea0314c on such a folder, with two cores of the same kind."""

FACTORS = (1, 2, 4, 8)


class Size(NamedTuple):
    """Patients, and rows of CHARTEVENTS of each."""

    patients: int
    events: int

    @property
    def rows(self) -> int:
        """All rows."""
        return self.patients * self.events


WHOLE = Size(1000, 7500)
QUICK = Size(1000, 1500)
"""The largest folder of the rows on growth, where it has to be quick."""

GROWTH = {
    "exponent": Figure("exponent of the time", "number", at_most=1.05),
    "last": Figure("exponent of the last doubling", "number"),
    "memory": Figure("times the peak memory for the last doubling", at_most=1.1),
}
FLAT_ONCE_FULL = (
    "Tables of small folders fit into the blocks that are read at once, so that memory grows until these are full; the "
    "whole of MIMIC-III, 46 times the rows of the largest folder here, takes 1.1 GB ([mimic.md](mimic.md))."
)

ROWS = {
    "ehr": Row(
        "EHR, 1,000 patients with 7.5 million rows, the whole command",
        f"mimic3-benchmarks, {sum(PUBLISHED_CODE)} s, measured earlier",
        {"clock": Figure("times faster", at_least=40)},
        "Decompressing, parsing and checking every line of CHARTEVENTS. Tried and left out: counting separators with "
        "numpy and leaving long lines to the parser, which was slower than the check.",
    ),
    "growth-patients": Row("EHR of N, 2 N, 4 N, 8 N patients", "–", GROWTH, FLAT_ONCE_FULL),
    "growth-events": Row("EHR of N, 2 N, 4 N, 8 N events a patient", "–", GROWTH, FLAT_ONCE_FULL),
}


def measure(setting: Setting) -> Mapping[str, Found]:
    """Extract folders of all sizes in turns."""
    largest = QUICK if setting.quick else WHOLE
    parts = [factor / FACTORS[-1] for factor in FACTORS]
    growing = {
        "growth-patients": [Size(round(largest.patients * part), largest.events) for part in parts],
        "growth-events": [Size(largest.patients, round(largest.events * part)) for part in parts],
    }
    sizes = dict.fromkeys([WHOLE, *(size for of_row in growing.values() for size in of_row)])
    folders = {size: raw_folder(setting, size) for size in sizes}
    versions = {str(size): lambda _, raw=raw: extract(setting, raw) for size, raw in folders.items()}
    taken = in_turns(range(setting.turns), versions)
    return {
        "ehr": _whole(taken[str(WHOLE)], folders[WHOLE]),
        **{row: _grown(sizes, [taken[str(size)] for size in sizes]) for row, sizes in growing.items()},
    }


def raw_folder(setting: Setting, size: Size) -> Path:
    """Return a synthetic folder of MIMIC-III, written the first time."""
    raw = setting.folder / f"mimic3-{size.patients}-{size.events}"
    if not raw.exists():
        numbers = ("--stays", str(size.patients), "--events-per-stay", str(size.events))
        omnifuse("synth", "--layout", "mimic3", *numbers, "--out", raw)
    return raw


def extract(setting: Setting, raw: Path) -> Measured:
    """Extract a folder with the rules of the published code, the whole command; the value is what stages took."""
    cache = setting.folder / "ehr-cache"
    remove_cache(cache)
    options = ("--dataset", "synthetic", "--modalities", "ehr", "--profile", "benchmark")
    return extracted(cache, *options, "--raw", raw)


def decompress(path: str) -> int:
    """Decompress a file and return its bytes."""
    from isal import igzip

    size = 0
    with igzip.open(path) as file:  # type: ignore[no-untyped-call]
        while block := file.read(1 << 20):
            size += len(block)
    return size


def _whole(taken: Sequence[Measured], raw: Path) -> Found:
    start = [Measured(one.seconds - sum(one.value.values()), 0, 0) for one in taken]
    (events,) = raw.rglob("CHARTEVENTS.csv.gz")
    alone = call("measurements.ehr:decompress", path=str(events))
    return Found(
        {"clock": [sum(PUBLISHED_CODE) / one.seconds for one in taken]},
        summary(taken, start),
        note="Start included. Decompressing CHARTEVENTS alone, "
        f"{alone.value / 1e9:.1f} GB, takes {alone.seconds:.1f} s.",
    )


def _grown(sizes: Sequence[Size], taken: Sequence[Sequence[Measured]]) -> Found:
    """Return exponents and growth of memory from measurements [sizes, turns]."""
    stages = [[sum(one.value.values()) for one in of_size] for of_size in taken]
    peaks = [[one.peak_mib for one in of_size] for of_size in taken]
    listed = ", ".join(f"{max(of_size):,}" for of_size in peaks)
    return Found(
        {
            "exponent": [exponent(FACTORS, of_turn) for of_turn in zip(*stages, strict=True)],
            "last": [exponent(FACTORS[-2:], of_turn[-2:]) for of_turn in zip(*stages, strict=True)],
            "memory": [after / before for before, after in zip(peaks[-2], peaks[-1], strict=True)],
        },
        summary(taken[-1]),
        note=f"{sizes[0].rows:,} to {sizes[-1].rows:,} rows; the time of the stages, without start. What does not "
        f"depend on the size makes the exponent of them all smaller. Peaks: {listed} MiB.",
    )


FAMILY = Family("ehr", ROWS, measure)
