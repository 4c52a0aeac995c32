"""The written files read back: MIMIC's layout, the label, and the planted statistics."""

import gzip
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema.errors import InputError
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort
from omnifuse.pipeline.synthetic.images import LUNGS
from omnifuse.pipeline.synthetic.reports import NEGATION, WORSE, write_reports
from omnifuse.pipeline.synthetic.variables import read_items
from PIL import Image

FOLDERS = {
    "hosp": ["admissions", "d_icd_diagnoses", "d_labitems", "diagnoses_icd", "labevents", "patients"],
    "icu": ["chartevents", "d_items", "icustays", "outputevents"],
}
HEART_RATE, SYSTOLIC = [220045], [220179, 220050]


@cache
def table(raw: Path, name: str) -> pl.DataFrame:
    """Read a table of either layout by its MIMIC-IV name, with lower-case columns."""
    folder = next(folder for folder, names in FOLDERS.items() if name in names)
    path = raw / folder / f"{name}.csv.gz"
    path = path if path.exists() else raw / f"{name.upper()}.csv.gz"
    texts = dict.fromkeys(["value", "VALUE", "icd_code", "ICD9_CODE", "comments"], pl.String)
    return pl.read_csv(path, try_parse_dates=True, schema_overrides=texts).rename(str.lower)


def header(path: Path) -> str:
    return gzip.open(path, "rt").readline().strip()


def studies(raw: Path) -> pl.DataFrame:
    """Metadata rows with the stay in which they were made."""
    metadata = pl.read_csv(
        raw / "mimic-cxr-jpg" / "mimic-cxr-2.0.0-metadata.csv.gz", schema_overrides={"StudyTime": pl.String}
    )
    made = (pl.col("StudyDate").cast(pl.String) + pl.col("StudyTime").str.slice(0, 6)).str.to_datetime("%Y%m%d%H%M%S")
    stays = table(raw, "icustays").select("subject_id", "stay_id", "intime")
    joined = metadata.with_columns(made=made).join(stays, on="subject_id")
    return joined.filter(pl.col("made").is_between("intime", pl.col("intime") + pl.duration(hours=48)))


def findings(path: Path) -> str:
    match = re.search(r"FINDINGS:(.*)IMPRESSION:", path.read_text(), re.DOTALL)
    assert match is not None, path
    return match[1].lower()


def count(text: str, words: tuple[str, ...]) -> int:
    return sum(text.count(word) for word in words)


def correlation(frame: pl.DataFrame, a: str, b: str) -> float:
    return float(frame.select(pl.corr(a, b)).item())


def test_mimic4_layout(mimic4):
    for folder, names in FOLDERS.items():
        assert sorted(path.name for path in (mimic4 / folder).iterdir()) == [f"{name}.csv.gz" for name in names]
    assert header(mimic4 / "icu" / "chartevents.csv.gz") == (
        "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,warning"
    )
    assert header(mimic4 / "hosp" / "patients.csv.gz") == (
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod"
    )
    assert table(mimic4, "patients")["dod"].dtype == pl.Date


def test_mimic3_layout(mimic3):
    names = sorted(f"{name.upper()}.csv.gz" for names in FOLDERS.values() for name in names)
    assert sorted(path.name for path in mimic3.iterdir() if path.is_file()) == names
    assert header(mimic3 / "CHARTEVENTS.csv.gz") == (
        "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUENUM,VALUEUOM,WARNING,ERROR,"
        "RESULTSTATUS,STOPPED"
    )
    assert all(header(mimic3 / name).startswith("ROW_ID,SUBJECT_ID,HADM_ID,") for name in names if "EVENTS" in name)
    births = table(mimic3, "icustays").join(table(mimic3, "patients"), on="subject_id")
    ages = (births["intime"] - births["dob"]).dt.total_days() / 365
    assert (ages < 18).sum() == 1


def test_chart_rows_are_about_as_many_as_asked_for(mimic3):
    chart = table(mimic3, "chartevents")
    assert len(chart) / len(table(mimic3, "icustays")) == pytest.approx(600, rel=0.05)
    assert chart["row_id"].to_list() == list(range(1, len(chart) + 1))


@pytest.mark.parametrize("layout", ["mimic4", "mimic3"])
def test_every_item_is_charted_and_in_its_dictionary(layout, request):
    raw = request.getfixturevalue(layout)
    dictionary = pl.concat([table(raw, name).select("itemid", "label") for name in ("d_items", "d_labitems")])
    items = read_items(layout)
    assert set(dictionary.iter_rows()) == {(item.itemid, item.label) for item in items}
    for kind in ("chart", "lab", "output"):
        charted = set(table(raw, f"{kind}events")["itemid"])
        assert charted == {item.itemid for item in items if item.table == kind}


def test_usual_cohort_rules_give_the_label_back(mimic4, truth):
    stays = table(mimic4, "icustays").filter(pl.col("first_careunit") == pl.col("last_careunit"))
    stays = stays.filter(pl.len().over("hadm_id") == 1).filter(pl.col("los") >= 2)
    stays = stays.join(table(mimic4, "admissions"), on="hadm_id").join(table(mimic4, "patients"), on="subject_id")
    by_day = pl.col("dod").cast(pl.Datetime).is_between("admittime", "dischtime").fill_null(False)
    by_time = pl.col("deathtime").is_between("admittime", "dischtime").fill_null(False)
    labels = stays.select("stay_id", died=by_day | by_time).sort("stay_id")
    assert labels["stay_id"].to_list() == truth["stay_id"].to_list()
    assert labels["died"].to_list() == truth["y"].to_list()
    assert (stays["dod"].is_not_null() & stays["deathtime"].is_null()).any()  # some die later, at home


def test_vitals_show_the_statistic_of_the_ehr(mimic4, truth):
    """The mean heart rate and the slope of the systolic pressure over the 2-hour bins of the first 48 hours."""
    events = (
        table(mimic4, "chartevents")
        .join(table(mimic4, "icustays"), on="stay_id")
        .select(
            "stay_id",
            "itemid",
            number=pl.col("value").cast(pl.Float64, strict=False),
            bin=(pl.col("charttime") - pl.col("intime")).dt.total_minutes() // 120,
        )
    )
    binned = (
        events.filter(pl.col("number") < 500, pl.col("bin") < 24)
        .group_by("stay_id", "bin")
        .agg(
            pl.col("number").filter(pl.col("itemid").is_in(i)).last().alias(n)
            for n, i in (("rate", HEART_RATE), ("pressure", SYSTOLIC))
        )
    )
    seen = (
        binned.drop_nulls()
        .group_by("stay_id")
        .agg(level=pl.col("rate").mean(), drift=pl.cov("bin", "pressure") / pl.col("bin").var())
    )
    seen = seen.join(truth, on="stay_id")
    assert len(seen) == len(truth)
    assert correlation(seen, "level", "ehr_shared") > 0.95
    assert correlation(seen, "drift", "ehr_own") > 0.93  # one of five variables that drift


def test_words_show_the_statistic_of_the_reports(mimic4, truth):
    made = studies(mimic4).unique("study_id")
    texts = {int(path.stem[1:]): findings(path) for path in (mimic4 / "mimic-cxr").rglob("s*.txt")}
    counted = pl.DataFrame(
        [(study, *(count(text, words) for words in WORSE)) for study, text in texts.items()],
        ["study_id", "air", "fluid"],
        orient="row",
    )
    seen = counted.join(made, on="study_id").join(truth, on="stay_id")
    assert seen["stay_id"].to_list() == seen.filter("rep_available")["stay_id"].to_list()
    assert len(seen) == truth["rep_available"].sum()
    assert correlation(seen, "air", "rep_shared") > 0.95
    assert correlation(seen, "fluid", "rep_own") > 0.95


def test_images_show_the_statistic_and_the_sign(mimic4, truth):
    frontal = studies(mimic4).filter(pl.col("ViewPosition") != "LATERAL")
    images = {
        path.stem: np.asarray(Image.open(path), dtype=float) for path in (mimic4 / "mimic-cxr-jpg").rglob("*.jpg")
    }
    measured = pl.DataFrame(
        [(dicom, *measure(image)) for dicom, image in images.items()],
        ["dicom_id", "area", "pattern", "sign"],
        orient="row",
    )
    seen = measured.join(frontal, on="dicom_id").join(truth, on="stay_id")
    assert len(seen) == truth["cxr_available"].sum()
    assert correlation(seen, "area", "cxr_shared") > 0.95
    assert correlation(seen, "pattern", "cxr_own") > 0.95
    assert seen["sign"].to_list() == seen["cxr_sign"].to_list()


def measure(image: np.ndarray) -> tuple[float, float, float]:
    """Return the white share of the lungs, the strength of the diagonal waves in them, and the side of the plate."""
    smooth = sum(np.roll(image, (dy, dx), (0, 1)) for dy in range(-3, 3) for dx in range(-3, 3)) / 36
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    waves = [abs(((image - smooth) * np.exp(1j * np.pi / 6 * along))[LUNGS].mean()) for along in (x + y, x - y)]
    return (smooth[LUNGS] > 125).mean(), sum(waves), 1.0 if image[10:46, 10:46].mean() > 200 else -1.0


def test_number_of_images_keeps_the_limit(mimic4):
    images = list((mimic4 / "mimic-cxr-jpg").rglob("*.jpg"))
    assert 90 < len(images) <= 110
    law = json.loads((mimic4 / "synthetic" / "law.json").read_text())["settings"]["law"]
    assert law["cxr"]["kept"] < 1


def test_signed_reports_negate_every_statement():
    rng = np.random.default_rng(0)
    plain, negated = write_reports(["AP"] * 2, np.zeros((2, 2)), np.array([1.0, -1.0]), rng)
    assert len(re.findall(rf"\b{NEGATION} ", plain.lower())) == 0
    assert len(re.findall(rf"\b{NEGATION} ", negated.lower())) == 16


def test_raw_values_are_as_awkward_as_real_ones(mimic4):
    labs = table(mimic4, "labevents")
    assert 0 < (labs["value"] == "___").mean() < 0.03
    assert 0.02 < labs["hadm_id"].is_null().mean() < 0.08
    chart = table(mimic4, "chartevents")
    assert {"ERROR", "9999"} <= set(chart["value"])


def test_every_admission_has_a_diagnosis_and_codes_follow_the_causes(mimic4, truth):
    codes = table(mimic4, "diagnoses_icd")
    assert set(codes["hadm_id"]) == set(table(mimic4, "admissions")["hadm_id"])
    assert set(codes["icd_version"]) == {9, 10}
    titles = table(mimic4, "d_icd_diagnoses")
    assert set(codes.select("icd_code", "icd_version").iter_rows()) <= set(titles.drop("long_title").iter_rows())
    shock = codes.filter(pl.col("icd_code").is_in(["78552", "R6521"])).select("hadm_id", shock=1)
    stays = truth.join(table(mimic4, "icustays"), on="stay_id").join(shock, on="hadm_id", how="left")
    by_shock = dict(stays.group_by(pl.col("shock").is_not_null()).agg(pl.col("z0").mean()).iter_rows())
    assert by_shock[True] > by_shock[False] + 0.5


@pytest.mark.parametrize("layout", ["mimic4", "mimic3"])
def test_same_settings_give_the_same_bytes(layout, tmp_path):
    settings = SynthSettings(stays=12, events_per_stay=40, layout=layout, images=3)
    for name in ("a", "b"):
        write_cohort(tmp_path / name, settings)
    write_cohort(tmp_path / "c", SynthSettings(stays=12, events_per_stay=40, layout=layout, images=3, seed=1))
    first, again, other = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in "abc"
    )
    assert first == again
    assert first != other


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "precious.txt").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        write_cohort(tmp_path / "raw", SynthSettings(stays=10))
    (tmp_path / "other.partial").mkdir()
    with pytest.raises(InputError, match="in the way"):
        write_cohort(tmp_path / "other", SynthSettings(stays=10))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.partial", "raw"]


def test_an_interrupted_cohort_is_begun_again(tmp_path):
    (tmp_path / "raw.partial" / "synthetic").mkdir(parents=True)
    (tmp_path / "raw.partial" / "left.csv").touch()
    write_cohort(tmp_path / "raw", SynthSettings(stays=10, events_per_stay=20, images=0))
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert not (tmp_path / "raw" / "left.csv").exists()
