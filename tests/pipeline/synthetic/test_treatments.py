"""Laboratory values, infusions and the department show the planted statistic of the EHR; transfers tell the units."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.ed import visits
from omnifuse.pipeline.sources.mimic.within import STRANGER
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort

LACTATE, PLATELETS, NOREPINEPHRINE, PROPOFOL = 50813, 51265, 221906, 222168


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, try_parse_dates=True, infer_schema_length=None).rename(str.lower)


def correlation(values: pl.DataFrame, truth: pl.DataFrame, shown: str) -> float:
    """Return the correlation of the values by stay_id with a number of the truth."""
    return float(truth.join(values, on="stay_id").select(pl.corr("value", shown)).item())


def test_laboratory_values_show_the_statistic_of_the_ehr(mimic4: Path, truth: pl.DataFrame) -> None:
    labs = read(mimic4 / "hosp/labevents.csv.gz").with_columns(pl.col("valuenum").cast(pl.Float64, strict=False))
    stays = read(mimic4 / "icu/icustays.csv.gz").select("hadm_id", "stay_id", "intime")
    labs = labs.join(stays, on="hadm_id").with_columns(hours=(pl.col("charttime") - pl.col("intime")).dt.total_hours())

    def mean(item: int) -> pl.DataFrame:
        window = labs.filter((pl.col("itemid") == item) & pl.col("hours").is_between(0, 48))
        return window.group_by("stay_id").agg(value=pl.col("valuenum").mean())

    assert correlation(mean(LACTATE), truth, "ehr_shared") > 0.6
    assert abs(correlation(mean(PLATELETS), truth, "ehr_shared")) < 0.2, "platelets fall, their level tells nothing"


def test_who_gets_a_vasopressor_shows_it_and_who_gets_a_sedative_does_not(mimic4: Path, truth: pl.DataFrame) -> None:
    given = read(mimic4 / "icu/inputevents.csv.gz")

    def whether(item: int) -> pl.DataFrame:
        return truth.select("stay_id", value=pl.col("stay_id").is_in(given.filter(itemid=item)["stay_id"].implode()))

    assert correlation(whether(NOREPINEPHRINE), truth, "ehr_own") > 0.25
    assert abs(correlation(whether(PROPOFOL), truth, "ehr_own")) < 0.2
    times = given.join(read(mimic4 / "icu/icustays.csv.gz"), on="stay_id")
    assert (times["starttime"] >= times["intime"].dt.truncate("1m")).all() and (
        times["endtime"] <= times["outtime"]
    ).all()


@pytest.mark.parametrize("layout", ["mimic4", "mimic3"])
def test_starter_sets_have_rows_without_anything_unusable(layout: str, request: pytest.FixtureRequest) -> None:
    sets, quarantine = ("labs", "vasopressors", "fluids", "infection"), Quarantine()
    records = MimicDataSet(request.getfixturevalue(layout), Options(modalities=sets, variables=sets)).read(Quarantine())
    for table in records.tables:
        values = np.concatenate([block.values for block in table.blocks(quarantine)])
        assert np.nanmax(np.abs(values[:, : len(table.columns) // 2])) > 0, table.name
    of_drugs = ~pl.col("source").str.contains("labs") & ~pl.col("reason").str.contains("without a row|rewritten")
    unusable = quarantine.counts().filter(of_drugs)
    assert unusable.is_empty(), unusable


@pytest.mark.parametrize("release", ["2.2", "3.1"])
def test_in_release_3_1_only_transfers_tell_who_changed_the_unit(tmp_path: Path, release: str) -> None:
    write_cohort(tmp_path / "raw", SynthSettings(stays=20, events_per_stay=20, images=0, release=release))
    stays = read(tmp_path / "raw/icu/icustays.csv.gz")
    assert (stays["first_careunit"] == stays["last_careunit"]).all() == (release == "3.1")
    dataset = MimicDataSet(tmp_path / "raw")
    assert dataset.read_cohort(Quarantine()).counts[1][1] == len(stays) - 1
    without = MimicDataSet(tmp_path / "raw", Options(without_rule=("units_from_transfers",)))
    assert without.read_cohort(Quarantine()).counts[1][1] == len(stays) - (release == "2.2")


def test_there_is_no_other_release_of_mimic3() -> None:
    with pytest.raises(InputError, match="--release is of MIMIC-IV"):
        SynthSettings(layout="mimic3", release="3.1")


def test_the_department_has_every_modality(mimic4: Path) -> None:
    every = ("ed", "ed_vitals", "ed_complaint", "ed_medicines")
    quarantine = Quarantine()
    records = MimicDataSet(mimic4, Options(modalities=every)).read(quarantine)
    triage, vitals, medicines = (next(iter(table.blocks(quarantine))) for table in records.tables)
    assert len(records.items[0].items) == len(triage.sample_ids) == len(medicines.sample_ids) > 150
    assert vitals.time.max() < 0 and np.isfinite(vitals.values[:, 0]).mean() == pytest.approx(0.5, abs=0.1)
    assert medicines.values.max() >= 4
    reasons = quarantine.counts().filter(stage="ed")["reason"]
    assert set(reasons) <= {"pain is no number from 0 to 10", visits.TOO_LATE, STRANGER}
