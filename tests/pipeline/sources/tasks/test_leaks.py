"""No label reaches an input, and nothing that comes after a prediction decides whether it is made unless that is told.

Each rule is shown to hold, and that its test would fail without it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column, FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, kdigo
from omnifuse.pipeline.sources.mimic.tasks.checks import conditions_on_future
from omnifuse.pipeline.sources.mimic.tasks.concept_events import TaskConcepts
from omnifuse.pipeline.sources.mimic.tasks.execute import execute
from omnifuse.pipeline.sources.mimic.tasks.language import ANCHORS, Bound, TaskFile
from omnifuse.pipeline.sources.mimic.tasks.named import read_tasks, task_names
from omnifuse.pipeline.sources.mimic.tasks.own import notes_of
from omnifuse.pipeline.sources.mimic.tasks.parsing import parse_task

H = 3600
INDEX = 24 * H
TELLING = 999.0


@pytest.fixture
def cache(tmp_path):
    """One sample with a telling row one second after hour 24, one of the day before t0, and one usual row."""
    hours = np.array([-20, 24, 24 + 1 / H], np.float32)
    values = np.array([[TELLING], [1], [TELLING]], np.float32)
    samples = pl.DataFrame({"sample_id": [1], "subject_id": [1]})
    spec = ModalitySpec("labs", "timeseries", "1 hour", {}, (Column("x"),))
    staged = StagedCache(tmp_path / "cache", "test", {}).add_samples(samples)
    staged.add_modality(spec, np.array([3]), 1, [values], hours)
    staged.add_quarantine(
        pl.DataFrame(schema=dict.fromkeys(("stage", "source", "where", "value", "reason"), pl.String)),
        pl.DataFrame(schema={"stage": pl.String, "source": pl.String, "reason": pl.String, "count": pl.Int64}),
    ).commit({})
    return FeatureCache.open(tmp_path / "cache")


def seen(cache: FeatureCache, window: float | None, history: float | None) -> list[float]:
    task = Task("t", "binary", ("t",), np.array([[1]], np.float32), window, history_hours=history)
    return cache.task_inputs(task)["labs"].values[:, 0].tolist()


def test_rows_after_the_prediction_or_before_the_history_are_no_inputs(cache: FeatureCache) -> None:
    assert seen(cache, 24.0, 0.0) == [1]
    assert seen(cache, 24.0, 12.0) == [1]
    assert seen(cache, 24.0, 20.0) == [TELLING, 1]
    assert seen(cache, 24.0, None) == [TELLING, 1]
    assert TELLING in seen(cache, None, 0.0)  # without a window


def units(number: int = 1) -> pl.DataFrame:
    known = {"icu_in": 0, "icu_out": 100 * H, "hosp_in": -10 * H, "hosp_out": 120 * H, "last_contact": 400 * 24 * H}
    rows = [
        {**dict.fromkeys(ANCHORS), **known, "subject": n, "death_by_day": False, "left_hospital": False}
        for n in range(number)
    ]
    schema = {
        "subject": pl.Int64,
        **dict.fromkeys(ANCHORS, pl.Int64),
        "death_by_day": pl.Boolean,
        "left_hospital": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def events(task: TaskFile, *times: int) -> Mapping[str, pl.DataFrame]:
    """Return events at some times for every predicate of a task that has any, intervals of an hour."""
    schema = {"subject": pl.Int64, "time": pl.Int64, "end": pl.Int64, "value": pl.Float64}
    rows = pl.DataFrame([(0, time, time + H, 3.0) for time in times], schema=schema, orient="row")
    return dict.fromkeys((*task.predicates, "hospital_admission", "icu_admission"), rows)


@pytest.mark.parametrize("name", task_names())
def test_what_comes_after_the_prediction_does_not_choose_samples(name: str) -> None:
    """But in tasks that say that they ask for it."""
    task = read_tasks([name])[0].task
    once = replace(task, trigger=task.trigger if task.trigger.at else replace(task.trigger, at=Bound("icu_in", INDEX)))
    index = execute(once, units(), events(once)).index
    soon = int(index[0]) + 1 if len(index) else INDEX + 1
    planted = execute(once, units(), events(once, soon))
    if conditions_on_future(task):
        later = execute(once, units(), events(once, INDEX + 2 * H))
        left = execute(once, units().with_columns(icu_out=pl.lit(soon)), events(once, INDEX + 2 * H))
        long = units().with_columns(icu_out=pl.lit(12 * 24 * H), hosp_out=pl.lit(13 * 24 * H))
        stayed = execute(once, long, events(once, INDEX + 2 * H))
        assert len({len(outcome.index) for outcome in (planted, later, left, stayed)}) > 1
    else:
        assert index.tolist() == planted.index.tolist()


def test_the_condition_on_the_future_is_found_where_it_is_added() -> None:
    task = read_tasks(["icu_mortality_24h"])[0].task
    gap = replace(task.windows[0], name="gap", start=Bound("trigger"), end=Bound("icu_in", 2 * INDEX))
    assert conditions_on_future(task) == ()
    assert conditions_on_future(replace(task, windows=(*task.windows, gap))) == ("gap.icu_out", "gap.death")


def one_of(target: dict[str, object]) -> TaskFile:
    content = {"name": "t", "trigger": {"at": "icu_in + 24h"}, "predicates": {"x": {"concept": "creatinine"}}}
    return parse_task({**content, "windows": {"target": {"label": "x", **target}}}, "t.yaml")


@pytest.mark.parametrize(("seconds", "samples"), [(-1, 0), (0, 1)])
def test_a_label_window_that_an_event_puts_before_the_prediction_leaves_its_sample_out(
    seconds: int, samples: int
) -> None:
    task = one_of({"start": "icu_in -> x", "end": "start + 12h"})
    outcome = execute(task, units(), events(task, INDEX + seconds))
    assert len(outcome.y) == samples
    assert ("target: after the prediction" in [step.name for step in outcome.steps]) == (samples == 0)


def test_a_label_that_is_known_by_the_prediction_is_refused() -> None:
    with pytest.raises(InputError, match="would leak"):
        one_of({"start": "icu_in + 23h", "end": "icu_in + 48h"})
    one_of({"start": "icu_in + 24h", "end": "icu_in + 48h"})


def test_a_treatment_that_may_be_under_way_is_told_unless_there_is_a_gap() -> None:
    task = read_tasks(["vasopressor_12h"])[0].task
    treatments = TaskConcepts([task], 4).treatments(task)
    assert treatments == {"pressor", "running"}
    assert any("under way" in note for note in notes_of(task, treatments))
    target = replace(task.target, start=Bound("trigger", H))
    later = replace(task, windows=(*task.windows[:-1], target))
    assert not any("under way" in note for note in notes_of(later, treatments))


def test_tables_that_are_written_after_discharge_are_no_predicates() -> None:
    content = {"name": "t", "trigger": {"at": "icu_in"}}
    windows = {"target": {"start": "trigger", "end": "icu_out", "label": "x"}}
    for table in ("diagnoses_icd", "procedures_icd", "drgcodes", "noteevents"):
        task = parse_task({**content, "predicates": {"x": {"item": {table: [1]}}}, "windows": windows}, "t.yaml")
        with pytest.raises(InputError, match=rf"t\.yaml: predicates\.x\.item: there is no table '{table}'"):
            TaskConcepts([task], 3)
    task = parse_task({**content, "predicates": {"x": {"item": {"labevents": [1]}}}, "windows": windows}, "t.yaml")
    assert len(TaskConcepts([task], 3).concepts) == 1


def creatinine(values: list[tuple[int, float]]) -> pl.DataFrame:
    rows = [(1, hour * H, None, hour * H, value) for hour, value in values]
    schema = {"key": pl.Int64, "time": pl.Int64, "end": pl.Int64, "known": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def stage_of(values: pl.DataFrame) -> pl.DataFrame:
    return kdigo.creatinine_stage(Given({kdigo.CREATININE: values}))


SERIES = [(0, 1.0), (12, 1.3), (30, 2.0), (60, 0.6), (80, 0.9), (90, 4.2), (100, 4.0)]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_stage_does_not_know_what_comes_later(ahead: bool) -> None:
    def staged(values: list[tuple[int, float]]) -> list[float]:
        values = [(-hour, value) for hour, value in values] if ahead else values  # a baseline of later values
        return stage_of(creatinine(values)).sort("time", descending=ahead)["value"].to_list()

    independent = all(staged(SERIES[:n]) == staged(SERIES)[:n] for n in range(1, len(SERIES)))
    assert independent == (not ahead)


def test_stages_by_hand() -> None:
    """A rise of exactly 0.3; of 1.5 and 2 times; back; 4.2 after 0.6 is 7 times; 4.0 is at least 4 and has risen."""
    assert stage_of(creatinine(SERIES))["value"].to_list() == [0, 1, 2, 0, 1, 3, 3]
    assert stage_of(creatinine([(0, 4.5), (6, 4.6)]))["value"].to_list() == [0, 0]  # no rise
    assert stage_of(creatinine([(0, 1.0), (168, 3.0)]))["value"].to_list() == [0, 0]  # 7 days ago
    same = pl.concat([creatinine([(0, 1.0)]), creatinine([(6, 1.0)]), creatinine([(6, 1.8)])])
    assert stage_of(same)["value"].to_list() == [0, 1]  # the mean of one time, 1.4


def test_a_stage_counts_from_when_its_creatinine_was_known() -> None:
    late = creatinine([(0, 1.0), (6, 2.0)]).with_columns(known=pl.col("time") + 2 * H)
    assert stage_of(late)["time"].to_list() == [2 * H, 8 * H]
