"""Nothing after the first 48 hours reaches the mortality task, however telling it is."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.loading import load
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort
from PIL import Image

from .conftest import IV, METADATA, RawFolder

CXR = "mimic-cxr-jpg/mimic-cxr-2.0.0-metadata"
STUDIES = {
    "early and late": ("21800101 100000", "21800103 010000"),
    "at admission": ("21800101 000000",),
    "a second before hour 48": ("21800101 100000", "21800102 235959"),
    "at hour 48": ("21800101 100000", "21800103 000000"),
    "a second later": ("21800101 100000", "21800103 000001"),
    "late only": ("21800103 010000",),
}
"""Stays of 50 hours from 21800101 000000 on, and when their studies are made."""
HOUR_48 = "21800103 000000"
Stays = dict[int, np.ndarray]


def add_study(raw: RawFolder, subject: int, study: int, when: str) -> None:
    """Add an AP image and its report; those after hour 48 tell that the patient dies."""
    telling = when > HOUR_48
    date, time = when.split()
    ids = {"dicom_id": f"i{study}", "subject_id": subject, "study_id": study}
    raw.add(CXR, **ids, ViewPosition="AP", StudyDate=date, StudyTime=time)
    image = raw.path / f"mimic-cxr-jpg/files/p10/p{subject}/s{study}/i{study}.jpg"
    report = raw.path / f"mimic-cxr/files/p10/p{subject}/s{study}.txt"
    for path in (image, report):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (64, 64), 250 if telling else study % 200).save(image)
    report.write_text(f"FINDINGS:\n{'The heart has stopped' if telling else f'Clear, number {study}'}.\n")


def add_stay(raw: RawFolder, subject: int, studies: tuple[str, ...], *, late: bool) -> None:
    """Add a patient who dies after a 50-hour stay; with what is recorded after its hour 48 or without."""
    ids = {"subject_id": subject, "hadm_id": subject + 1}
    stay = {"intime": "2180-01-01 00:00:00", "outtime": "2180-01-03 02:00:00", "los": "2.083333333"}
    raw.add("icu/icustays", **ids, stay_id=subject + 2, first_careunit="MICU", last_careunit="MICU", **stay)
    death = {"dischtime": "2180-01-03 03:00:00", "deathtime": "2180-01-03 03:00:00"}
    raw.add("hosp/admissions", **ids, admittime="2180-01-01 00:00:00", **death)
    raw.add("hosp/patients", subject_id=subject, gender="M", anchor_age=60)
    raw.add("hosp/diagnoses_icd", **ids, seq_num=1, icd_code="I10", icd_version=10)
    for time, rate, ph in (("2180-01-02 01:00:00", 80, 7.4), ("2180-01-03 01:00:00", 0, 6.9))[: 1 + late]:
        raw.add("icu/chartevents", **ids, stay_id=subject + 2, itemid=220045, charttime=time, value=rate, valuenum=rate)
        raw.add("hosp/labevents", **ids, itemid=50820, charttime=time, value=ph, valuenum=ph)
    for number, when in enumerate(studies):
        if late or when <= HOUR_48:
            add_study(raw, subject, subject + number, when)


def extracted(folder: Path, *, late: bool) -> FeatureCache:
    raw = RawFolder(folder / "raw", {**IV, CXR: METADATA})
    for number, studies in enumerate(STUDIES.values()):
        add_stay(raw, 10_000_000 + 10 * number, studies, late=late)
    path = raw.write()
    extract(open_dataset("mimic", path), folder / "cache", Encoders("random", "random"))
    return FeatureCache.open(folder / "cache")


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A cache of records that end at hour 48."""
    return extracted(tmp_path_factory.mktemp("without"), late=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A cache of the same stays with all their records."""
    return extracted(tmp_path_factory.mktemp("planted"), late=True)


def test_the_cache_holds_what_is_recorded_after_hour_48(without, planted) -> None:
    late = [study for studies in STUDIES.values() for study in studies if study > HOUR_48]
    for name in ("cxr", "rep"):
        assert len(planted.modality(name).items) == len(without.modality(name).items) + len(late)
        assert planted.modality(name).items["time"].max() == 49
    assert planted.modality("rep").present.all()
    heart, acid = 50, 58
    before, after = (np.asarray(cache.modality("ehr")[0]) for cache in (without, planted))
    assert before[-1, [heart, acid]].tolist() == pytest.approx([80, 7.4])
    assert after[-1, [heart, acid]].tolist() == pytest.approx([0, 6.9])


def test_nothing_of_it_is_an_input_of_the_mortality_task(without, planted) -> None:
    for name in ("ehr", "cxr", "rep"):
        before = without.task_inputs("mortality", [name])[name]
        after = planted.task_inputs("mortality", [name])[name]
        for part in ("values", "offsets", "time"):
            assert np.asarray(getattr(after, part)).tobytes() == np.asarray(getattr(before, part)).tobytes()
    expected, fused = load(without, "mortality"), load(planted, "mortality")
    assert fused.presence.tolist() == expected.presence.tolist()
    late_only = dict(zip(fused.modalities, fused.presence[-1].tolist(), strict=True))
    assert late_only == {"ehr": True, "cxr": False, "rep": False}
    for name, source in fused.sources.items():
        assert source.rows.values.tobytes() == expected.sources[name].rows.values.tobytes()


def test_the_phenotyping_task_sees_it(without, planted) -> None:
    for name in ("ehr", "cxr", "rep"):
        before, after = (load(cache, "phenotyping").sources[name].rows.values for cache in (without, planted))
        assert after.tobytes() != before.tobytes()


LAST = {"at admission": 0, "a second before hour 48": 1, "at hour 48": 1, "a second later": 0, "early and late": 0}


@pytest.mark.parametrize(("stay", "used"), LAST.items(), ids=LAST)
@pytest.mark.parametrize("name", ["cxr", "rep"])
def test_the_last_study_up_to_hour_48_is_the_input(planted, name: str, stay: str, used: int) -> None:
    sample = list(STUDIES).index(stay)
    modality = planted.modality(name)
    item = modality.items.filter(sample=sample).sort("time").row(used, named=True)
    expected = np.asarray(modality.values)[item["first_row"] : item["first_row"] + item["rows"]]
    np.testing.assert_array_equal(planted.task_inputs("mortality", [name])[name][sample], expected)


# ---- the EHR -------------------------------------------------------------------------------------------------------


def first_48_hours(raw: Path, profile: str) -> Stays:
    """Return the rows ``[bins, 76]`` of each stay whose bins end within 48 hours."""
    dataset = MimicDataSet(raw, Options(modalities=("ehr",), profile=profile))
    cohort = dataset.read_cohort(Quarantine())
    ids = cohort.stays["stay_id"].to_list()
    rows: Stays = {}
    for block in dataset.events.tensors(cohort.stays, Quarantine()).blocks():
        ends = np.cumsum(block.lengths)
        for stay, end, length in zip(block.stays, ends, block.lengths, strict=True):
            part = slice(end - length, end)
            rows[ids[stay]] = block.values[part][block.time[part] <= 48]
    return rows


def drop_late_events(raw: Path) -> int:
    """Remove the events of all event tables that lie after hour 48 of a stay; return how many."""
    stays = pl.read_csv(raw / "icu" / "icustays.csv.gz", try_parse_dates=True)
    window_end = pl.col("intime") + pl.duration(hours=48)
    removed = 0
    for path in (raw / "icu/chartevents.csv.gz", raw / "hosp/labevents.csv.gz", raw / "icu/outputevents.csv.gz"):
        events = pl.read_csv(path, infer_schema=False).with_row_index("row")
        times = events.select("row", pl.col("subject_id").cast(pl.Int64), pl.col("charttime").str.to_datetime())
        of_stay = times.join(stays.select("subject_id", "intime", "outtime"), on="subject_id")
        late = of_stay.filter(pl.col("charttime") > window_end, pl.col("charttime") <= pl.col("outtime"))
        kept = events.join(late, on="row", how="anti").drop("row")
        path.write_bytes(gzip.compress(kept.write_csv().encode()))
        removed += len(events) - len(kept)
    return removed


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_cohort(tmp_path / "raw", SynthSettings(stays=40, events_per_stay=150, images=0, seed=5))
    return tmp_path / "raw"


@pytest.mark.parametrize("profile", ["benchmark", "clean"])
def test_the_first_48_hours_are_those_of_an_extraction_of_48_hours(cohort: Path, profile: str) -> None:
    whole = first_48_hours(cohort, profile)
    assert drop_late_events(cohort) > 500
    early = first_48_hours(cohort, profile)
    assert len(whole) == len(early) > 40
    for stay, rows in whole.items():
        np.testing.assert_array_equal(rows, early[stay], err_msg=f"stay {stay}")


@pytest.mark.parametrize(("profile", "kept"), [("benchmark", 98), ("clean", 101)])
def test_only_the_benchmark_lets_a_later_text_decide_a_tie(
    mimic3: RawFolder, charted3: Callable[..., None], profile: str, kept: int
) -> None:
    """It compares values as text in a subject that has any text, even one of the last hour, as published."""
    for value in ("98", "101"):
        charted3(mimic3, 1, 10, 100, "2150-01-01 02:00:00", 211, value)
    before = first_48_hours(mimic3.write(), profile)[100][0, 50]
    charted3(mimic3, 1, 10, 100, "2150-01-03 01:00:00", 184, "1 No Response")
    after = first_48_hours(mimic3.write(), profile)[100][0, 50]
    assert (before, after) == (101, kept)
