"""Small hand-made events for the rules and bins of the EHR."""

from collections.abc import Callable

import polars as pl
import pytest
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.benchmark import EhrSettings
from omnifuse.pipeline.sources.mimic.benchmark.cleaning import clean_values
from omnifuse.pipeline.sources.mimic.benchmark.variables import items, variables

EVENT_SCHEMA = {
    "subject": pl.Int64,
    "subject_id": pl.Int64,
    "stay": pl.Int64,
    "second": pl.Int64,
    "item": pl.UInt16,
    "value": pl.String,
    "unit": pl.String,
    "valuenum": pl.Float64,
    "text_subject": pl.Boolean,
}


def event(itemid: int, value: str | None, **other: object) -> dict[str, object]:
    """Return one event of subject 0, stay 0, second 0 whose subject has text values, unless said otherwise."""
    row = items()["itemid"].index_of(itemid)
    default = {
        "subject": 0,
        "subject_id": 7,
        "stay": 0,
        "second": 0,
        "unit": None,
        "valuenum": None,
        "text_subject": True,
    }
    return {**default, "item": row, "value": value, **other}


@pytest.fixture
def cleaned() -> Callable[..., list[object]]:
    """Return a function that cleans events and returns the kept numbers (names of categories), largest order last."""

    def clean(
        *events: dict[str, object],
        profile: str = "benchmark",
        without: frozenset[str] = frozenset(),
        quarantine: Quarantine | None = None,
    ) -> list[object]:
        frame = pl.DataFrame(list(events), schema=EVENT_SCHEMA)
        usable = clean_values(frame, frame, EhrSettings(profile, without=without), quarantine or Quarantine()).sort(
            "order", maintain_order=True
        )
        return [_shown(variables()[row["variable"]], row["number"]) for row in usable.iter_rows(named=True)]

    return clean


def _shown(variable: object, number: float) -> object:
    return variable.categories[int(number)] if variable.categories else number


@pytest.fixture
def make_event() -> Callable[..., dict[str, object]]:
    """Return :func:`event`."""
    return event
