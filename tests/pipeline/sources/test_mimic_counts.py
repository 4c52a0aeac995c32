"""Counts after every step, beside those published for the same release."""

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Task
from omnifuse.pipeline.sources.mimic.benchmark import EhrSettings
from omnifuse.pipeline.sources.mimic.cohort import TABLES_STEP, Step
from omnifuse.pipeline.sources.mimic.counts import beside_published, count_steps

LEFT_OUT = pl.DataFrame({"stage": ["ehr", "tables"], "source": ["events", "PATIENTS.csv"],
                         "reason": ["HADM_ID empty", "dod is no date and time"], "count": [5_162_703, 1]})  # fmt: skip


def task(name: str, labels: list[float], *, long: bool = False) -> Task:
    y = np.array(labels, dtype=np.float32)[:, None]
    times: dict[str, Any] = {"sample": np.zeros(len(y), np.int64), "time": np.ones(len(y), np.float32)} if long else {}
    return Task(name, "binary", ("died",), y, **times)


TASKS = [task("mortality", [1, 0, np.nan]), task("decompensation", [1, 0, 0, 1], long=True)]


def compared(stays: int, profile: Any = "benchmark", limit: int | None = None, bin_hours: float = 1.0) -> set[Any]:
    """Return scope, step, unit, count and published where something was published."""
    steps = [Step(TABLES_STEP, stays, 3, 2), Step("adults", 42_276, 2, 1)]
    settings = EhrSettings(profile, bin_hours)
    counts = beside_published(partial(count_steps, steps, settings), steps, settings, limit, TASKS, LEFT_OUT, {})
    assert counts.columns == ["scope", "step", "unit", "count", "published", "source"]
    return set(counts.filter(pl.col("published").is_not_null()).drop("source").rows())


COHORT3 = {
    ("cohort", TABLES_STEP, "ICU stays", 61_532, 61_532),
    ("cohort", "adults", "ICU stays", 42_276, 42_276),
    ("cohort", "adults", "subjects", 1, 33_798),
}
MORTALITY = {("task", "mortality", "samples", 2, 21_139), ("task", "mortality", "positive samples", 1, 2_797)}
HOURLY = {
    ("task", "decompensation", "predictions every 1 h", 4, 3_431_622),
    ("task", "decompensation", "positive predictions every 1 h", 2, 70_696),
}


def test_the_release_is_known_by_its_icu_stays() -> None:
    events = {("events", "HADM_ID empty", "events", 5_162_703, 5_162_703)}
    assert compared(61_532) == COHORT3 | MORTALITY | HOURLY | events
    assert compared(73_181) == {("cohort", TABLES_STEP, "ICU stays", 73_181, 73_181)}
    assert compared(136) == {("cohort", TABLES_STEP, "ICU stays", 136, 136)}
    assert compared(135) == set()


def test_only_what_is_comparable_is_compared() -> None:
    assert compared(61_532, "clean") == COHORT3 | MORTALITY | HOURLY
    assert compared(61_532, "clean", bin_hours=2.0) == COHORT3 | MORTALITY
    assert compared(61_532, limit=100) == COHORT3


def test_every_count_is_there_with_or_without_a_published_one() -> None:
    steps = [Step(TABLES_STEP, 5, 4, 3)]
    counts = count_steps(steps, EhrSettings("clean"), TASKS, LEFT_OUT)
    assert counts.select("scope", "step", "unit", "count").rows() == [
        ("cohort", TABLES_STEP, "ICU stays", 5),
        ("cohort", TABLES_STEP, "admissions", 4),
        ("cohort", TABLES_STEP, "subjects", 3),
        ("events", "HADM_ID empty", "events", 5_162_703),
        ("task", "mortality", "samples", 2),
        ("task", "mortality", "positive samples", 1),
        ("task", "decompensation", "predictions every 2 h", 4),
        ("task", "decompensation", "positive predictions every 2 h", 2),
    ]
    assert counts["published"].null_count() == counts["source"].null_count() == 8


@pytest.mark.parametrize("stays", [61_532, 73_141, 73_181, 94_458])
def test_every_published_count_has_a_source(stays: int) -> None:
    steps = [Step(TABLES_STEP, stays, 0, 0)]
    counts = beside_published(
        partial(count_steps, steps, EhrSettings()), steps, EhrSettings(), None, TASKS, LEFT_OUT, {}
    )
    assert counts.filter(pl.col("published").is_not_null())["source"].str.starts_with("MIMIC-I").all()
