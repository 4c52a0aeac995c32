"""Rows up to any time hold nothing that was not known by then: tables cut at that time give the same rows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omnifuse.pipeline.source import Block
from omnifuse.pipeline.sources.mimic.concepts.binning import SetBins
from omnifuse.pipeline.sources.mimic.concepts.definitions import Concept
from omnifuse.pipeline.sources.mimic.concepts.reading import ConceptEvents
from omnifuse.pipeline.sources.mimic.concepts.units import parse_conversion
from omnifuse.pipeline.sources.mimic.folder import MimicFolder

START = datetime(2150, 1, 1)
HOURS, BIN = 12, 2.0
WEIGHT = 763
Row = dict[str, Any]
Tables = dict[str, list[Row]]

CONCEPTS = (
    Concept("s", "chart", {"chartevents": (113,)}, aggregates=("last", "mean", "min", "max", "sum", "any", "count",
                                                               "time_since_last")),
    Concept("s", "lab", {"labevents": (50813,)}, aggregates=("last",)),
    Concept("s", "held", {"inputevents": (30120,)}, "interval-rate", "mcg/kg/min",
            (parse_conversion("mcg/min", "/ weight"),), aggregates=("mean", "max", "last", "count", "time_since_last")),
    Concept("s", "rate", {"inputevents": (221906,)}, "interval-rate", "mcg/kg/min", aggregates=("mean", "any")),
    Concept("s", "amount", {"inputevents": (225158,)}, "interval-amount", "ml", aggregates=("sum", "count")),
)  # fmt: skip
COLUMNS = {
    "CHARTEVENTS": "ITEMID,CHARTTIME,STORETIME,VALUE",
    "LABEVENTS": "ITEMID,CHARTTIME,VALUE",
    "INPUTEVENTS_CV": "ITEMID,CHARTTIME,STORETIME,RATE,RATEUOM,STOPPED",
    "INPUTEVENTS_MV": "ITEMID,STARTTIME,ENDTIME,STORETIME,RATE,RATEUOM,AMOUNT,AMOUNTUOM",
    "ICUSTAYS": "HADM_ID,ICUSTAY_ID",
}


def clock(minute: int) -> str:
    return str(START + timedelta(minutes=minute))


def made(seed: int) -> Tables:
    """Return rows of all tables with times in minutes: start, end, stored."""
    rng = np.random.default_rng(seed)

    def times(length: int = 0) -> Row:
        start = int(rng.integers(-60, HOURS * 60))
        return {
            "start": start,
            "end": start + int(rng.integers(0, length + 1)),
            "stored": start + int(rng.integers(-30, 240)),
        }

    tables: Tables = {
        "CHARTEVENTS": [{"ITEMID": 113, "VALUE": int(rng.integers(0, 5)), **times()} for _ in range(6)]
        + [{"ITEMID": WEIGHT, "VALUE": int(rng.integers(50, 90)), **times()} for _ in range(2)],
        "LABEVENTS": [{"ITEMID": 50813, "VALUE": int(rng.integers(0, 5)), **times()} for _ in range(4)],
        "INPUTEVENTS_CV": [
            {"ITEMID": 30120, "RATE": int(rng.integers(0, 9)), "RATEUOM": ("mcg/min", "mcgkgmin")[int(rng.integers(2))],
             "STOPPED": ("", "Stopped")[int(rng.random() < 0.3)], **times()}
            for _ in range(5)
        ],
        "INPUTEVENTS_MV": [
            {"ITEMID": 221906, "RATE": int(rng.integers(0, 9)), "RATEUOM": "mcg/kg/min", **times(300)} for _ in range(3)
        ]
        + [
            {"ITEMID": 225158, "AMOUNT": int(rng.integers(1, 99)), "AMOUNTUOM": "ml", "RATE": rng.choice(["", "5"]),
             "RATEUOM": "mL/hour", **times(300)}
            for _ in range(4)
        ],
    }  # fmt: skip
    for row in tables["LABEVENTS"]:
        row["stored"] = row["start"]
    return tables


def known(row: Row) -> int:
    return max(row["start"], row["stored"])


def rows_of(folder: Path, tables: Tables) -> dict[float, list[float]]:
    """Write the tables, and return the columns of the row that ends at each hour."""
    for name, columns in COLUMNS.items():
        lines = [f"SUBJECT_ID,{columns}"]
        for row in tables.get(name, [{}]):
            clocks = {} if not row else {
                "CHARTTIME": clock(row["start"]), "STARTTIME": clock(row["start"]), "ENDTIME": clock(row["end"]),
                "STORETIME": clock(row["stored"]),
            }  # fmt: skip
            lines.append(",".join(str({**row, **clocks, "SUBJECT_ID": 1}.get(c, "")) for c in lines[0].split(",")))
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    seconds = int((START - datetime(1970, 1, 1)).total_seconds())
    none = pl.lit(None, pl.Int64)
    reading = ConceptEvents(
        MimicFolder.find(folder), CONCEPTS, pl.DataFrame({"subject_id": [1]}).with_columns(first=none, last=none)
    )
    stays = pl.DataFrame({
        "sample": [0], "stay_id": [1], "subject_id": [1], "intime": [seconds], "since": [seconds - 3600],
        "los_hours": [float(HOURS)],
    })  # fmt: skip
    bins = SetBins(CONCEPTS, 0, stays, BIN, "storetime")
    blocks: list[Block] = [block for events in reading.of_subjects() for block in bins.blocks(events)]
    return {float(t): row.tolist() for block in blocks for t, row in zip(block.time, block.values, strict=True)}


def same_up_to(hour: float, one: dict[float, list[float]], other: dict[float, list[float]]) -> None:
    """Check that the rows up to an hour are equal; a sample without any event by then may have none at all."""
    for time in sorted(t for t in one if t <= hour):
        if other:
            np.testing.assert_array_equal(np.float32(one[time]), np.float32(other[time]), err_msg=f"row of hour {time}")
        else:
            masks = one[time][len(one[time]) // 2 :]
            assert not any(masks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("tables")


@settings(max_examples=15, deadline=None)
@example(seed=140, bins=5)  # a rate whose next row was stored after the one behind it
@example(seed=4848, bins=5)  # rows that are stored in another order than they were charted
@example(seed=141, bins=2)  # two rows of one time
@given(seed=st.integers(0, 10_000), bins=st.integers(1, HOURS // 2))
def test_tables_cut_at_a_time_give_the_same_rows_up_to_it(folder: Callable[[], Path], seed: int, bins: int) -> None:
    tables, hour = made(seed), bins * BIN
    cut = {name: [row for row in rows if known(row) <= hour * 60] for name, rows in tables.items()}
    whole = rows_of(folder(), tables)
    early = rows_of(folder(), cut)
    same_up_to(hour, whole, early)


@settings(max_examples=9, deadline=None)
@given(seed=st.integers(0, 10_000), bins=st.integers(1, HOURS // 2))
def test_the_end_and_the_final_amount_of_what_still_runs_tell_nothing(
    folder: Callable[[], Path], seed: int, bins: int
) -> None:
    tables, hour = made(seed), bins * BIN
    telling = [
        {**row, "end": row["end"] + 77, "AMOUNT": 99_999} if row["end"] > hour * 60 else row
        for row in tables["INPUTEVENTS_MV"]
    ]
    whole = rows_of(folder(), tables)
    told = rows_of(folder(), {**tables, "INPUTEVENTS_MV": telling})
    same_up_to(hour, whole, told)
