"""MIMIC folders from end to end: cohort rules, tasks, both versions and all formats."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

from .label import tasks_of

HEART = 50


def read(raw: Path, **options: object) -> Records:
    return MimicDataSet(raw, Options(**options)).read(Quarantine())


def rows_of(records: Records) -> dict[int, np.ndarray]:
    """Return the EHR rows ``[rows, 76]`` of every sample that has any."""
    found = {}
    for block in records.tables[0].blocks(Quarantine()):
        parts = np.split(block.values, np.cumsum(block.lengths)[:-1])
        found |= dict(zip(block.sample_ids.tolist(), parts, strict=True))
        assert len(block.time) == len(block.values)
    return found


def test_one_stay_becomes_one_sample(mimic3) -> None:
    records = read(mimic3.write(), profile="benchmark")
    sample = records.samples.row(0, named=True)
    assert sample["sample_id"] == 100
    assert sample["subject_id"] == 1
    assert sample["sex"] == "F"
    assert sample["first_careunit"] == "MICU"
    assert sample["age"] == pytest.approx(60, abs=0.1)
    assert sample["los_hours"] == pytest.approx(2.0833 * 24)
    rows = rows_of(records)[100]
    assert rows.shape == (25, 76)
    assert rows.dtype == np.float32
    assert (rows[:, HEART] == 80).all()
    assert records.tables[0].kind == "timeseries"
    assert len(records.tables[0].columns) == 76


@pytest.mark.parametrize(
    ("suffix", "change"),
    [(".csv", str), (".csv", str.lower), (".csv.gz", str), (".CSV", str), (".parquet", str), (".csv.gz", str.lower)],
)
def test_formats_and_cases_give_the_same(mimic3, suffix, change) -> None:
    records = read(mimic3.write(suffix, rename=change, header=change))
    assert records.samples["sample_id"].to_list() == [100]
    assert rows_of(records)[100][:, HEART].tolist() == [80] * 25


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_mimic4(mimic4, suffix) -> None:
    records = read(mimic4.write(suffix))
    assert records.samples.row(0, named=True) == {
        "sample_id": 200,
        "subject_id": 10000032,
        "age": 60.0,
        "sex": "M",
        "first_careunit": "MICU",
        "race": "WHITE",
        "insurance": None,
        "language": None,
        "los_hours": pytest.approx(50),
    }
    assert rows_of(records)[200][:, HEART].tolist() == [80] * 25
    phenotyping = tasks_of(records)[1]
    conditions = dict(zip(phenotyping.labels, phenotyping.y[0], strict=True))
    assert {name for name, flag in conditions.items() if flag} == {
        "Essential hypertension",
        "Acute and unspecified renal failure",
    }


@pytest.mark.parametrize("profile", ["clean", "benchmark"])
def test_race_insurance_and_language_are_columns_of_the_cohort_and_of_no_recipe(mimic3, profile) -> None:
    """MIMIC-III calls race ethnicity; a table without the columns leaves them empty."""
    without = read(mimic3.write(), profile=profile)
    assert without.samples.select("race", "insurance", "language").row(0) == (None, None, None)
    mimic3.headers["ADMISSIONS"] += ",INSURANCE,LANGUAGE,ETHNICITY"
    mimic3.tables["ADMISSIONS"][0] |= {"INSURANCE": "Medicare", "LANGUAGE": " ", "ETHNICITY": "WHITE - RUSSIAN "}
    described = read(mimic3.write(), profile=profile)
    assert described.samples.select("race", "insurance", "language").row(0) == ("WHITE - RUSSIAN", "Medicare", None)
    assert described.tables[0].recipe == without.tables[0].recipe and "cohort" not in described.tables[0].recipe
    np.testing.assert_array_equal(rows_of(described)[100], rows_of(without)[100])


def test_the_benchmark_looks_a_code_up_without_its_version(mimic4) -> None:
    """The port joins on the code alone: an ICD-9 E-code can be taken for an ICD-10 code."""
    for row in mimic4.tables["hosp/diagnoses_icd"]:
        row |= {"icd_code": "E8771", "icd_version": "9"}
    raw = mimic4.write()
    assert np.nansum(tasks_of(read(raw))[1].y) == 0
    assert np.nansum(tasks_of(read(raw, profile="benchmark"))[1].y) == 1


def test_the_port_to_mimic4_loses_the_unit(mimic4) -> None:
    """Height in inches stays in inches in the benchmark, FiO2 is always divided by 100."""
    event = {"subject_id": 10000032, "hadm_id": 20, "stay_id": 200, "charttime": "2180-01-01 01:00:00"}
    mimic4.add("icu/chartevents", **event, itemid=226707, value="70", valuenum="70", valueuom="Inch")
    mimic4.add("icu/chartevents", **event, itemid=223835, value="0.5", valuenum="0.5", valueuom="torr")
    raw = mimic4.write()
    assert rows_of(read(raw, profile="benchmark"))[200][0, [3, 51]] == pytest.approx([0.005, 70])
    assert rows_of(read(raw))[200][0, [3, 51]] == pytest.approx([0.5, 177.8])


COHORT = [
    ("kept", {}, True),
    ("another unit at the end", {"LAST_CAREUNIT": "SICU"}, False),
    ("another ward at the end", {"LAST_WARDID": "8"}, False),
    ("a minor", {"DOB": "2140-01-01 00:00:00"}, False),
    ("18 years of 365 days to the second", {"DOB": "2132-01-06 00:00:00"}, True),
    ("a second less", {"DOB": "2132-01-06 00:00:01"}, False),
    ("over 89: born three centuries ago", {"DOB": "1850-01-01 00:00:00"}, True),
    ("born after admission", {"DOB": "2250-01-01 00:00:00"}, True),
    ("no date of birth", {"DOB": ""}, False),
]


@pytest.mark.parametrize(("name", "changed", "kept"), COHORT, ids=[name for name, *_ in COHORT])
def test_cohort(mimic3, stay3, name, changed, kept) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, **changed)
    samples = read(mimic3.write(), modalities=("ehr",)).samples
    assert (200 in samples["sample_id"].to_list()) == kept


def test_ages(mimic3, stay3) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, DOB="1850-01-01 00:00:00")
    stay3(mimic3, subject=3, hadm=30, stay=300, DOB="2250-01-01 00:00:00")
    raw = mimic3.write()
    assert read(raw).samples["age"][1:].to_list() == [90, 90]
    assert read(raw, profile="benchmark").samples["age"][1:].round(0).to_list() == [300, 90]


def test_one_stay_in_the_admission_is_counted_after_transfers_were_dropped(mimic3, stay3) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200)
    stay3(mimic3, subject=2, hadm=20, stay=201, LAST_CAREUNIT="SICU")
    stay3(mimic3, subject=3, hadm=30, stay=300)
    stay3(mimic3, subject=3, hadm=30, stay=301)
    records = read(mimic3.write())
    assert records.samples["sample_id"].to_list() == [100, 200]
    assert tasks_of(records)[0].counts[:4] == (
        ("ICU stays in the tables", 5),
        ("no transfer between units", 4),
        ("one stay in the admission", 2),
        ("adults", 2),
    )


DEATHS = [
    ("alive", {}, 0),
    ("time of death in the admission", {"DEATHTIME": "2150-01-02 00:00:00"}, 1),
    ("time of death after discharge", {"DEATHTIME": "2150-01-05 12:00:01"}, 0),
    ("date of death on the day of discharge", {"DOD": "2150-01-05 00:00:00"}, 1),
    ("date of death after discharge", {"DOD": "2150-01-06 00:00:00"}, 0),
    ("midnight of admission", {"DOD": "2150-01-01 00:00:00"}, 1),
    ("midnight before admission", {"DOD": "2150-01-01 00:00:00", "ADMITTIME": "2150-01-01 00:00:01"}, 0),
]


@pytest.mark.parametrize(("name", "changed", "died"), DEATHS, ids=[name for name, *_ in DEATHS])
def test_mortality_label_of_the_benchmark(mimic3, stay3, charted3, name, changed, died) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, **changed)
    charted3(mimic3, 2, 20, 200, "2150-01-01 01:00:00", 211, "80")
    assert tasks_of(read(mimic3.write(), profile="benchmark"))[0].y[1, 0] == died


TASKS = [
    ("in both", {}, "2150-01-01 01:00:00", True, True),
    ("exactly 48 hours long", {"LOS": "2.0000", "OUTTIME": "2150-01-03 00:00:00"}, "2150-01-01 01:00:00", True, True),
    ("a little shorter", {"LOS": "1.9999", "OUTTIME": "2150-01-03 00:00:00"}, "2150-01-01 01:00:00", False, True),
    ("event at 48 hours", {}, "2150-01-03 00:00:00", True, True),
    ("event after 48 hours", {}, "2150-01-03 00:00:01", False, True),
    ("event before the stay", {}, "2149-12-31 23:59:59", False, False),
    ("event at admission", {}, "2150-01-01 00:00:00", True, True),
    ("event after the stay", {}, "2150-01-03 02:00:01", False, False),
    ("no diagnosis", {"ICD9_CODE": ""}, "2150-01-01 01:00:00", False, False),
]


@pytest.mark.parametrize(("name", "changed", "time", "mortality", "phenotyping"), TASKS, ids=[row[0] for row in TASKS])
@pytest.mark.parametrize("profile", ["benchmark", "clean"])
def test_task_cohorts(mimic3, stay3, charted3, name, changed, time, mortality, phenotyping, profile) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, **changed)
    charted3(mimic3, 2, 20, 200, time, 211, "80")
    tasks = tasks_of(read(mimic3.write(), profile=profile))[:2]
    inside = [not np.isnan(task.y[1]).any() for task in tasks]
    assert inside == [mortality, phenotyping]
    assert [task.counts[-1][1] for task in tasks] == [1 + mortality, 1 + phenotyping]


def test_tasks_without_the_ehr_do_not_ask_for_events(mimic4, with_images) -> None:
    mimic4.tables["icu/chartevents"] = []
    with_images(mimic4)
    records = read(mimic4.write(), modalities=("cxr",))
    assert records.tables == ()
    task = tasks_of(records)[0]
    assert task.y[0, 0] == 0
    assert task.window_hours == 48
    assert task.select == {"cxr": {"rows": "last", "where": {"view_position": ["AP", "PA"]}}}


def test_an_empty_length_of_stay(mimic3, stay3, charted3) -> None:
    """The benchmark leaves the stay out of all tasks; clean takes it from the times, if there are any."""
    stay3(mimic3, subject=2, hadm=20, stay=200, LOS="")
    stay3(mimic3, subject=3, hadm=30, stay=300, LOS="", OUTTIME="")
    for subject in (2, 3):
        charted3(mimic3, subject, subject * 10, subject * 100, "2150-01-01 01:00:00", 211, "80")
    raw = mimic3.write()
    benchmark, clean = read(raw, profile="benchmark"), read(raw)
    assert benchmark.samples["los_hours"][1:].to_list() == [None, None]
    assert clean.samples["los_hours"][1:].to_list() == [50, None]
    assert np.isnan(tasks_of(benchmark)[1].y[:, 0]).tolist() == [False, True, True]
    assert np.isnan(tasks_of(clean)[1].y[:, 0]).tolist() == [False, False, True]
    assert set(rows_of(clean)) == {100, 200}


def test_codes_that_the_dictionary_does_not_know_do_not_count(mimic3, stay3) -> None:
    raw = mimic3.write()
    assert np.nansum(tasks_of(read(raw))[1].y) == 1
    (raw / "D_ICD_DIAGNOSES.csv").write_text("ICD9_CODE,SHORT_TITLE\n4019,x\n")
    assert tasks_of(read(raw))[1].counts[4] == ("a diagnosis", 0)


def test_wrong_values_of_the_cohort_tables_are_quarantined(mimic3, stay3) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, LOS="-1", INTIME="2150-13-01 00:00:00", DOD="soon")
    stay3(mimic3, subject=3, hadm=30, stay=100)
    quarantine = Quarantine()
    MimicDataSet(mimic3.write()).read(quarantine)
    frame = quarantine.frame().filter(pl.col("stage") == "tables")
    assert frame.select("source", "where", "value", "reason").rows() == [
        ("ICUSTAYS.csv", "row 3", "-1", "no plausible length of stay in days"),
        ("ICUSTAYS.csv", "row 3", "2150-13-01 00:00:00", "intime is no date and time"),
        ("ICUSTAYS.csv", "row 4", "100", "stay_id is repeated"),
        ("PATIENTS.csv", "row 3", "soon", "dod is no date and time"),
    ]


@pytest.mark.parametrize(("table", "column"), [("CHARTEVENTS", "CHARTTIME"), ("ICUSTAYS", "INTIME")])
def test_a_table_whose_times_have_lost_the_time_of_day_is_refused(mimic3, stay3, charted3, table, column) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200)
    charted3(mimic3, 2, 20, 200, "2150-01-01 01:00:00", 211, "80")
    for row in mimic3.tables[table]:
        row[column] = row[column][:10]
    with pytest.raises(InputError, match=rf"{column} of row 2, '2150-01-01', has no time of day"):
        rows_of(read(mimic3.write()))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(("table", "column"), [("CHARTEVENTS", "CHARTTIME"), ("ICUSTAYS", "INTIME")])
def test_times_of_parquet_with_a_zone_are_refused_as_those_of_text_are(
    mimic3, stay3, charted3, table, column, zone
) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200)
    charted3(mimic3, 2, 20, 200, "2150-01-01 01:00:00", 211, "80")
    path = mimic3.write(".parquet") / f"{table}.parquet"
    pl.read_parquet(path).with_columns(pl.col(column).dt.replace_time_zone(zone)).write_parquet(path)
    with pytest.raises(InputError, match=rf"{column} of row 2, '2150-01-01 .*, cannot be read.*without a zone"):
        rows_of(read(path.parent))


def test_lines_may_end_as_on_an_old_macintosh(mimic3) -> None:
    for path in mimic3.write().glob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))
    assert (rows_of(read(mimic3.path))[100][:, HEART] == 80).all()


def test_the_first_stays_only(mimic3, stay3) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=99)
    records = read(mimic3.write(), limit=1)
    assert records.samples["sample_id"].to_list() == [99]
    assert tasks_of(records)[0].counts[4] == ("the first 1", 1)


def test_inputs_and_settings(mimic3) -> None:
    raw = mimic3.write()
    names = {path.name for path in MimicDataSet(raw).inputs()}
    cohort = {"ICUSTAYS.csv", "ADMISSIONS.csv", "PATIENTS.csv", "DIAGNOSES_ICD.csv"}
    assert names == cohort | {"CHARTEVENTS.csv", "LABEVENTS.csv"}
    assert "OUTPUTEVENTS.csv" in {path.name for path in MimicDataSet(raw, Options(profile="benchmark")).inputs()}
    first, second = MimicDataSet(raw).settings(), MimicDataSet(raw, Options(without_rule=("inches",))).settings()
    assert first != second
    assert first["profile"] == "clean"
    assert first["modalities"] == ["ehr"]


@pytest.mark.parametrize("table", ["ADMISSIONS", "PATIENTS", "DIAGNOSES_ICD", "CHARTEVENTS", "LABEVENTS"])
def test_a_missing_table_is_named_with_what_was_found(mimic3, table) -> None:
    raw = mimic3.write()
    (raw / f"{table}.csv").unlink()
    with pytest.raises(MissingInputError, match=rf"no table {table.lower()}.*found: .*ICUSTAYS.csv.*Add the missing"):
        MimicDataSet(raw).inputs()


def test_optional_tables_may_be_missing(mimic3) -> None:
    raw = mimic3.write()
    (raw / "OUTPUTEVENTS.csv").unlink()
    assert len(read(raw, profile="benchmark").samples) == 1


def test_a_missing_column_is_named(mimic3) -> None:
    mimic3.headers["CHARTEVENTS"] = mimic3.headers["CHARTEVENTS"].replace("ITEMID,", "")
    with pytest.raises(MissingInputError, match=r"CHARTEVENTS.csv has no column itemid"):
        read(mimic3.write())


def test_an_event_table_that_is_cut_stops(mimic3) -> None:
    raw = mimic3.write()
    with (raw / "CHARTEVENTS.csv").open("a") as file:
        file.write("1,10,100,211")
    with pytest.raises(InputError, match=r"CHARTEVENTS.csv ends in the middle of a line"):
        read(raw)


def test_a_folder_without_mimic_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "something.txt").touch()
    with pytest.raises(MissingInputError, match=r"no table icustays.*it holds something.txt.*--raw"):
        MimicDataSet(tmp_path).inputs()
    with pytest.raises(MissingInputError, match="There is no folder"):
        MimicDataSet(tmp_path / "nowhere").inputs()


def test_two_versions_in_one_folder_are_refused(mimic3, mimic4) -> None:
    mimic3.write()
    raw = mimic4.write()
    with pytest.raises(InputError, match=r"more than one data set.*mimic3.*mimic4"):
        MimicDataSet(raw.parent).inputs()


def test_the_folder_may_lie_deeper(mimic4) -> None:
    assert MimicDataSet(mimic4.write().parent).folder.version == 4


def test_mimic4_version_1_has_patients_and_admissions_in_core(mimic4) -> None:
    for name in ("patients", "admissions"):
        mimic4.headers[f"core/{name}"] = mimic4.headers.pop(f"hosp/{name}").replace("race", "ethnicity")
        mimic4.tables[f"core/{name}"] = mimic4.tables.pop(f"hosp/{name}")
    assert read(mimic4.write()).samples["sample_id"].to_list() == [200]


def test_stays_that_share_an_instant(mimic3, stay3, charted3) -> None:
    """Two stays of one patient at the same instant share values in the benchmark, not in the clean profile."""
    later = {"INTIME": "2150-01-02 00:00:00", "OUTTIME": "2150-01-03 02:00:00", "LOS": "1.0833"}
    stay3(mimic3, subject=1, hadm=11, stay=110, **later)
    charted3(mimic3, 1, 10, 100, "2150-01-02 01:00:00", 646, "97")
    raw = mimic3.write()
    assert set(rows_of(read(raw, profile="benchmark"))) == {100, 110}
    assert set(rows_of(read(raw))) == {100}
    assert set(rows_of(read(raw, without_rule=("own_stay_only",)))) == {100, 110}


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no modality 'mri'; it has ehr, cxr, rep"):
        MimicDataSet(tmp_path, Options(modalities=("mri",)))
    with pytest.raises(InputError, match="--bin-hours 0 does not divide a day"):
        MimicDataSet(tmp_path, Options(bin_hours=0))


def test_reading_the_tables_waits_for_no_library_of_models_or_signals() -> None:
    code = "import sys, omnifuse.pipeline.sources.mimic.data_set; "
    code += "sys.exit(bool({'torch', 'scipy', 'sklearn', 'transformers'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
