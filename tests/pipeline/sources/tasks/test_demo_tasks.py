"""The named tasks on the MIMIC-III demo: what was counted there by hand and by other programs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.benchmark import EhrSettings
from omnifuse.pipeline.sources.mimic.cohort import Cohort, read_cohort
from omnifuse.pipeline.sources.mimic.concepts.reading import ConceptEvents
from omnifuse.pipeline.sources.mimic.folder import MimicFolder
from omnifuse.pipeline.sources.mimic.tasks.anchors import check_release, stay_anchors, subject_events, units_of
from omnifuse.pipeline.sources.mimic.tasks.concept_events import TaskConcepts
from omnifuse.pipeline.sources.mimic.tasks.execute import Outcome, execute
from omnifuse.pipeline.sources.mimic.tasks.language import AnchorPredicate, TaskFile
from omnifuse.pipeline.sources.mimic.tasks.named import read_tasks
from omnifuse.pipeline.sources.mimic.wards import left_hospital_from


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> MimicFolder:
    return MimicFolder.find(shared_data("mimic-iii-demo"))


@pytest.fixture(scope="module")
def cohort(folder: MimicFolder) -> Cohort:
    return read_cohort(folder, EhrSettings(), Quarantine())


@pytest.fixture(scope="module")
def stays(cohort: Cohort) -> pl.DataFrame:
    return stay_anchors(cohort.recorded, "III")


@pytest.fixture(scope="module")
def with_wards(folder: MimicFolder, cohort: Cohort) -> pl.DataFrame:
    left_hospital = left_hospital_from(folder, cohort.recorded.stays, Quarantine())
    return stay_anchors(cohort.recorded, "III", left_hospital)


def task_of(name: str) -> TaskFile:
    return read_tasks([name])[0].task


def run(task: TaskFile, cohort: Cohort, stays: pl.DataFrame, folder: MimicFolder | None = None) -> Outcome:
    units = units_of(task, stays)
    concepts = TaskConcepts([task], 3)
    if folder is not None:
        whole = pl.lit(None, pl.Int64)
        patients = stays.select("subject_id").unique().with_columns(first=whole, last=whole)
        for group in ConceptEvents(folder, concepts.concepts, patients).of_subjects():
            concepts.take(group, 0)
    events = concepts.events(task, units.frame) if folder is not None else {}
    return execute(task, units.frame, {**subject_events(cohort.recorded), **events})


def left(outcome: Outcome) -> dict[str, int]:
    return {step.name: len(step.unit) for step in outcome.steps}


@pytest.mark.parametrize(
    ("name", "samples", "positive"),
    [
        ("icu_mortality_24h", 110, 20),
        ("mortality_28d", 110, 38),
        ("readmission_30d", 88, 11),
        ("los_3d", 110, 44),
        ("los_7d", 110, 24),
        ("decompensation_12h", 1089, 49),
    ],
)
def test_samples_and_positives(name: str, samples: int, positive: int, cohort: Cohort, stays: pl.DataFrame) -> None:
    outcome = run(task_of(name), cohort, stays)
    assert (len(outcome.y), np.nansum(outcome.y)) == (samples, positive)


def test_steps_of_mortality_in_the_unit(cohort: Cohort, stays: pl.DataFrame) -> None:
    task = task_of("icu_mortality_24h")
    assert [len(units) for _, units in units_of(task, stays).steps] == [136, 135, 135]
    steps = left(run(task, cohort, stays))
    assert steps == {"a time of prediction": 135, "alive.icu_out": 113, "alive.death": 110, "target: a label": 110}
    at_once = replace(task, predicates={"icu_death": AnchorPredicate("death", "icu")})
    assert run(at_once, cohort, stays).y.sum() == 19  # without the six hours after the stay


def test_admissions_of_readmission(cohort: Cohort, stays: pl.DataFrame) -> None:
    assert len(units_of(task_of("readmission_30d"), stays).frame) == 128


def test_death_within_a_year_where_everybody_is_followed(cohort: Cohort, stays: pl.DataFrame) -> None:
    task = task_of("mortality_365d")
    with pytest.raises(InputError, match=r"knows deaths for 90 days.*dbsource: carevue"):
        check_release(task, "III")
    followed = run(task, cohort, stays.with_columns(last_contact=pl.lit(2**40)))
    assert (len(followed.y), followed.y.sum()) == (110, 73)


def test_acute_kidney_injury(cohort: Cohort, stays: pl.DataFrame, folder: MimicFolder) -> None:
    outcome = run(task_of("aki_48h"), cohort, stays, folder)
    steps = left(outcome)
    assert (steps["before.death"], steps["target.creatinine"], outcome.y.sum()) == (84, 61, 10)


def test_stages_of_creatinine(stays: pl.DataFrame, folder: MimicFolder) -> None:
    """Highest stage of a stay and of the 7 days before it, and of what was charted in the stay."""
    task = replace(
        task_of("aki_48h"), cohort=replace(task_of("aki_48h").cohort, age=(None, None), exclude_newborns=False)
    )
    units = units_of(task, stays)
    concepts = TaskConcepts([task], 3)
    whole = pl.lit(None, pl.Int64)
    patients = stays.select("subject_id").unique().with_columns(first=whole, last=whole)
    for group in ConceptEvents(folder, concepts.concepts, patients).of_subjects():
        concepts.take(group, 0)
    stages = concepts.events(task, units.frame)["aki"].join(units.frame, on="unit")
    stages = stages.filter(pl.col("time") <= pl.col("icu_out"))

    def highest(of: pl.DataFrame) -> list[int]:
        return of.group_by("unit").agg(pl.col("value").max())["value"].value_counts().sort("value")["count"].to_list()

    assert highest(stages) == [88, 23, 11, 14]
    hours = (pl.col("time") - pl.col("icu_in")) / 3600
    assert highest(stages.filter(hours >= 0)) == [86, 23, 10, 14]
    assert highest(stages.filter(hours.is_between(0, 48))) == [95, 22, 7, 9]
    assert highest(stages.filter(hours.is_between(24, 72))) == [59, 15, 5, 9]


def test_the_cohorts_of_yaib(cohort: Cohort, with_wards: pl.DataFrame, folder: MimicFolder) -> None:
    """What YAIB's own scripts leave of the demo, and the labels that it ships, after its filters of the base cohort."""
    mortality = task_of("yaib_mortality_24h")
    assert [len(units) for _, units in units_of(mortality, with_wards).steps][-1] == 132
    died = run(mortality, cohort, with_wards)
    assert (left(died)["alive.icu_death"], left(died)["there.icu_out"], died.y.sum()) == (125, 99, 21)
    creatinine = run(task_of("yaib_kidney_function"), cohort, with_wards, folder)
    assert (left(creatinine)["there.icu_out"], len(creatinine.y)) == (72, 69)
    assert creatinine.y.mean() == pytest.approx(1.3934783)
    hours = run(task_of("yaib_los"), cohort, with_wards)
    assert len(hours.y) == 9656


def test_the_last_ward_finds_a_death_that_is_written_a_day_late(cohort: Cohort, with_wards: pl.DataFrame) -> None:
    """Stay 279183 ends at 17:58 with the admission; its DEATHTIME is the day after, 24 hours after DISCHTIME."""
    outcome = run(task_of("yaib_mortality_24h"), cohort, with_wards)
    stays = units_of(task_of("yaib_mortality_24h"), with_wards).frame["stay_id"].to_numpy()[outcome.unit]
    assert outcome.y[stays == 279183].tolist() == [[1.0]]
