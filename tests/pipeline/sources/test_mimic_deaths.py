"""Who died in hospital and when, in the clean profile: four columns that need not agree, and no prediction after it."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Task
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.deaths import BY_ADMISSION, BY_DATE, CONTRADICTION

from .conftest import RawFolder
from .label import tasks_of

UNKNOWN = np.nan
DISCHARGE = "2150-01-05 12:00:00"
"""Of the admission of every case, which began at 2150-01-01 00:00:00; the stay lasts 50 hours."""


@pytest.fixture
def left(mimic3: RawFolder, stay3: Callable[..., None], charted3: Callable[..., None]) -> Callable[..., RawFolder]:
    """Return a function that adds stay 200, whose patient left the hospital as the columns say."""
    mimic3.headers["ADMISSIONS"] += ",HOSPITAL_EXPIRE_FLAG,DISCHARGE_LOCATION"

    def add(flag: str = "", place: str = "", died_at: str = "", died_on: str = "", **other: str) -> RawFolder:
        said = {"HOSPITAL_EXPIRE_FLAG": flag, "DISCHARGE_LOCATION": place, "DEATHTIME": died_at, "DOD": died_on}
        stay3(mimic3, subject=2, hadm=20, stay=200, DISCHTIME=DISCHARGE, **said, **other)
        charted3(mimic3, 2, 20, 200, "2150-01-01 01:00:00", 211, "80")
        return mimic3

    return add


def mortality(raw: RawFolder, **options: object) -> tuple[float, dict[str, int]]:
    """Return the label of stay 200 and what was counted of its death."""
    quarantine = Quarantine()
    records = MimicDataSet(raw.write(), Options(**options)).read(quarantine)
    counted = {
        reason: n for _, source, reason, n in quarantine.counts().rows() if reason.startswith("death_in_hospital")
    }
    return tasks_of(records)[0].y[1, 0], counted


IN_STAY, BEFORE_DISCHARGE, AFTER = "2150-01-03 01:00:00", "2150-01-04 00:00:00", "2150-01-06 12:00:00"
SAME_DATE, NEXT_DATE = "2150-01-05 00:00:00", "2150-01-06 00:00:00"
CASES = [
    ("everything says alive", ("0", "HOME"), 0, None),
    ("everything says dead", ("1", "DEAD/EXPIRED", IN_STAY, "2150-01-03 00:00:00"), 1, None),
    ("everything says dead in MIMIC-IV's words", ("1", "DIED", BEFORE_DISCHARGE, BEFORE_DISCHARGE), 1, None),
    ("a flag without a time", ("1", "DIED"), 1, BY_ADMISSION),
    ("a place of discharge alone", ("", "died"), 1, BY_ADMISSION),
    ("a time of death after the discharge", ("1", "DEAD/EXPIRED", AFTER, NEXT_DATE), 1, BY_ADMISSION),
    ("a time of death after the discharge, nothing else", ("", "", AFTER), 1, BY_ADMISSION),
    ("left for hospice on the day of the date of death", ("0", "HOSPICE", "", SAME_DATE), 0, BY_DATE),
    ("left alive, a date of death after that", ("0", "HOME", "", NEXT_DATE), 0, None),
    ("only a date of death in the admission", ("", "", "", SAME_DATE), 1, None),
    ("only a date of death after the admission", ("", "", "", NEXT_DATE), 0, None),
    ("a flag and a place that contradict each other", ("1", "HOME", BEFORE_DISCHARGE), 1, CONTRADICTION),
    ("a time of death in the admission, flag and place of a survivor", ("0", "HOME", IN_STAY), 1, CONTRADICTION),
    ("a flag written as a decimal", ("1.0", ""), 1, BY_ADMISSION),
    ("an unreadable time of death", ("1", "DIED", "soon", ""), 1, BY_ADMISSION),
]  # fmt: skip


@pytest.mark.parametrize(("said", "died", "counted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_admission_says_who_died_in_hospital(left, said: tuple[str, ...], died: int, counted: str | None) -> None:
    assert mortality(left(*said)) == (died, {counted: 1} if counted else {})


def test_the_rule_can_be_switched_off(left) -> None:
    raw = left("0", "HOSPICE", "", SAME_DATE)
    assert mortality(raw, without_rule=("death_in_hospital",)) == (1, {})


def test_each_corrected_stay_is_named(left) -> None:
    quarantine = Quarantine()
    MimicDataSet(left("1", "DIED").write()).read(quarantine)
    assert quarantine.frame().filter(reason=BY_ADMISSION)["where"].to_list() == ["stay 200"]


DEAD_AT_48 = [
    ("died in hour 48", {"died_at": "2150-01-02 23:59:59"}, UNKNOWN),
    ("died at 48 hours", {"died_at": "2150-01-03 00:00:00"}, UNKNOWN),
    ("died a second later", {"died_at": "2150-01-03 00:00:01"}, 1),
    ("died on the second day at an unknown time", {"flag": "1", "died_on": "2150-01-02 00:00:00"}, UNKNOWN),
    ("died on the third day at an unknown time", {"flag": "1", "died_on": "2150-01-03 00:00:00"}, 1),
    ("left alive after the date of death", {"flag": "0", "died_on": "2150-01-02 00:00:00"}, UNKNOWN),
]


@pytest.mark.parametrize(("said", "label"), [case[1:] for case in DEAD_AT_48], ids=[case[0] for case in DEAD_AT_48])
def test_nobody_who_is_dead_by_48_hours_is_a_sample_of_48_hours(left, said: dict[str, str], label: float) -> None:
    raw = left(**said)
    assert mortality(raw)[0] == pytest.approx(label, nan_ok=True)
    assert not np.isnan(mortality(raw, without_rule=("no_prediction_after_death",))[0])


def tasks(raw: RawFolder, **options: object) -> dict[str, Task]:
    made = tasks_of(MimicDataSet(raw.write(), Options(bin_hours=1.0, **options)).read(Quarantine()))
    return {task.name: task for task in made}


def times(task: Task) -> list[float]:
    assert task.sample is not None and task.time is not None
    return task.time[task.sample == 1].tolist()


def test_those_left_out_are_counted(left) -> None:
    task = tasks(left(died_at="2150-01-01 10:00:00"))["mortality"]
    assert task.counts[-2:] == (("an EHR event in the window", 2), ("alive after 48 hours", 1))


def test_nothing_is_predicted_from_death_on(left) -> None:
    raw = left("1", "DIED", died_at="2150-01-01 10:00:00")
    made = tasks(raw)
    assert times(made["decompensation"]) == times(made["length_of_stay"]) == [5, 6, 7, 8, 9]
    assert dict(made["length_of_stay"].counts)["predictions, those after death included"] == 45 + 45
    assert made["length_of_stay"].counts[-1] == ("predictions", 45 + 5)
    assert len(times(tasks(raw, without_rule=("no_prediction_after_death",))["length_of_stay"])) == 45


def test_a_date_of_death_ends_predictions_with_the_day(left) -> None:
    made = tasks(left("1", "DIED", died_on="2150-01-01 00:00:00"))
    assert times(made["length_of_stay"]) == list(range(5, 24))
    assert times(made["decompensation"]) == [], "when the patient died on that day is not known"


def test_who_died_at_an_unknown_time_was_dead_at_the_discharge(left) -> None:
    raw = left("1", "DIED")
    raw.tables["ADMISSIONS"][1]["DISCHTIME"] = "2150-01-01 10:00:00"
    assert times(tasks(raw)["length_of_stay"]) == [5, 6, 7, 8, 9]
    raw.tables["ADMISSIONS"][1] |= {"HOSPITAL_EXPIRE_FLAG": "0", "DISCHARGE_LOCATION": "HOME"}
    assert len(times(tasks(raw)["length_of_stay"])) == 45


def test_somebody_dead_before_the_stay_is_in_no_task(left) -> None:
    """Such as a donor, whose admission repeats the time of death of the one before."""
    made = tasks(left("1", "DIED", died_at="2149-12-31 20:00:00"))
    assert np.isnan(made["mortality"].y[1]).all() and np.isnan(made["phenotyping"].y[1]).all()
    assert times(made["decompensation"]) == times(made["length_of_stay"]) == []
    assert made["phenotyping"].counts[-1] == ("alive at admission to the unit", 1)


def test_somebody_who_dies_in_the_stay_is_phenotyped(left) -> None:
    assert tasks(left("1", "DIED", died_at="2150-01-01 10:00:00"))["phenotyping"].y[1].sum() == 1


@pytest.mark.parametrize(
    ("anchor_age", "anchor_year", "age"),
    [("60", "2171", 69), ("60", "2180", 60), ("60.0", "2171.0", 69), ("85", "2171", 90), ("91", "2180", 90)],
)
def test_the_age_in_mimic4_is_that_at_admission(mimic4: RawFolder, anchor_age: str, anchor_year: str, age: int) -> None:
    mimic4.tables["hosp/patients"][0] |= {"anchor_age": anchor_age, "anchor_year": anchor_year}
    raw = mimic4.write()
    assert MimicDataSet(raw).read(Quarantine()).samples["age"].to_list() == [age]
    as_published = MimicDataSet(raw, Options(profile="benchmark")).read(Quarantine()).samples["age"].to_list()
    assert as_published == [float(anchor_age)]


def test_changed_ages_are_counted_and_one_is_shown(mimic4: RawFolder) -> None:
    mimic4.tables["hosp/patients"][0]["anchor_year"] = "2171"
    quarantine = Quarantine()
    MimicDataSet(mimic4.write()).read(quarantine)
    counted = quarantine.frame().filter(pl.col("reason").str.starts_with("age_at_admission"))
    assert counted["where"].to_list() == ["stay 200"]


@pytest.mark.parametrize(
    ("anchor_age", "anchor_year", "adult"), [("17", "2179", True), ("18", "2181", False), ("17", "2180", False)]
)
def test_who_is_an_adult_is_decided_at_admission(
    mimic4: RawFolder, anchor_age: str, anchor_year: str, adult: bool
) -> None:
    patient, admission, stay = (mimic4.tables[name][0] for name in ("hosp/patients", "hosp/admissions", "icu/icustays"))
    mimic4.add("hosp/patients", **{**patient, "subject_id": 2, "anchor_age": anchor_age, "anchor_year": anchor_year})
    mimic4.add("hosp/admissions", **{**admission, "subject_id": 2, "hadm_id": 21})
    mimic4.add("icu/icustays", **{**stay, "subject_id": 2, "hadm_id": 21, "stay_id": 201})
    assert (201 in MimicDataSet(mimic4.write()).read(Quarantine()).samples["sample_id"]) == adult
