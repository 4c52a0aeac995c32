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
from omnifuse.pipeline.sources.mimic.benchmark.variables import items as variable_items
from omnifuse.pipeline.synthetic import SynthSettings, write_cohort
from omnifuse.pipeline.synthetic.best_possible import weighted_auroc
from omnifuse.pipeline.synthetic.charting import plan_charting, read_other_items
from omnifuse.pipeline.synthetic.images import LUNGS
from omnifuse.pipeline.synthetic.laboratory import LABORATORY
from omnifuse.pipeline.synthetic.reports import NEGATION, WORSE, write_reports
from omnifuse.pipeline.synthetic.treatments import DRUGS
from omnifuse.pipeline.synthetic.variables import VARIABLES, read_items
from PIL import Image

BOTH = {
    "hosp": [
        *("admissions", "d_icd_diagnoses", "d_labitems", "diagnoses_icd", "labevents", "microbiologyevents"),
        *("patients", "prescriptions"),
    ],
    "icu": ["chartevents", "d_items", "icustays", "outputevents"],
}
FOLDERS = {"hosp": [*BOTH["hosp"], "transfers"], "icu": sorted([*BOTH["icu"], "inputevents"])}
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
    """Metadata rows with each stay of the patient, and the hours from its begin to the study."""
    metadata = pl.read_csv(
        raw / "mimic-cxr-jpg" / "mimic-cxr-2.0.0-metadata.csv.gz", schema_overrides={"StudyTime": pl.String}
    )
    made = (pl.col("StudyDate").cast(pl.String) + pl.col("StudyTime").str.slice(0, 6)).str.to_datetime("%Y%m%d%H%M%S")
    stays = table(raw, "icustays").select("subject_id", "stay_id", "intime", "outtime")
    joined = metadata.join(stays, on="subject_id").with_columns(made=made)
    return joined.with_columns(hours=(pl.col("made") - pl.col("intime")).dt.total_seconds() / 3600)


def last_of_window(made: pl.DataFrame) -> pl.DataFrame:
    """Of each stay what was made last in its first 48 hours."""
    return made.filter(pl.col("hours").is_between(0, 48)).sort("hours").unique("stay_id", keep="last")


def reports(raw: Path) -> pl.DataFrame:
    """Studies that have a report, with how many telling words of each kind it has."""
    texts = {int(path.stem[1:]): findings(path) for path in (raw / "mimic-cxr").rglob("s*.txt")}
    counted = pl.DataFrame(
        [(study, *(count(text, words) for words in WORSE)) for study, text in texts.items()],
        ["study_id", "air", "fluid"],
        orient="row",
    )
    return studies(raw).unique(["study_id", "stay_id"]).join(counted, on="study_id")


def images(raw: Path) -> pl.DataFrame:
    """Frontal images that have a file, with what is measured in it."""
    files = {path.stem: np.asarray(Image.open(path), float) for path in (raw / "mimic-cxr-jpg").rglob("*.jpg")}
    measured = pl.DataFrame(
        [(dicom, *measure(image)) for dicom, image in files.items()],
        ["dicom_id", "area", "pattern", "sign"],
        orient="row",
    )
    return studies(raw).filter(pl.col("ViewPosition") != "LATERAL").join(measured, on="dicom_id")


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
    further = ["noteevents", "inputevents_mv"]
    names = sorted(f"{name.upper()}.csv.gz" for names in (*BOTH.values(), further) for name in names)
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
def test_every_item_is_in_its_dictionary_and_the_others_are_charted_where_there_is_room(layout, request):
    raw = request.getfixturevalue(layout)
    dictionary = pl.concat([table(raw, name).select("itemid", "label") for name in ("d_items", "d_labitems")])
    items, others = read_items(layout), read_other_items(layout)
    assert sorted(dictionary.iter_rows()) == sorted({(item.itemid, item.label) for item in (*items, *others, *DRUGS)})
    for kind in ("chart", "lab", "output"):
        charted = set(table(raw, f"{kind}events")["itemid"])
        expected = {item.itemid for item in items if item.table == kind} | (set(LABORATORY) if kind == "lab" else set())
        if layout == "mimic3":  # 600 chart rows per stay
            expected |= {item.itemid for item in others if item.table == kind}
        assert charted == expected


def test_the_variables_have_as_many_rows_at_600_events_as_at_300(mimic3):
    known = set(variable_items()["itemid"])
    stays = len(table(mimic3, "icustays"))
    for name, few in (("chart", 300), ("lab", 30)):
        items = [item for item in read_items("mimic3") if item.table == name]
        rates = {item.itemid: item.share * (0.5 if name == "lab" else VARIABLES[item.variable].rate) for item in items}
        share = sum(rate for itemid, rate in rates.items() if itemid in known) / sum(rates.values())
        of_variables = table(mimic3, f"{name}events")["itemid"].is_in(known).sum()
        assert of_variables / stays == pytest.approx(share * few, rel=0.05)


@pytest.mark.parametrize(("table_name", "rows", "share"), [("chart", 7500, 0.179), ("lab", 750, 0.067)])
@pytest.mark.parametrize("layout", ["mimic4", "mimic3"])
def test_many_events_have_the_real_share_of_the_variables(layout, table_name, rows, share):
    charting = plan_charting(layout, table_name, 7500)
    known = set(variable_items()["itemid"])
    rates = {item.itemid: item.share * charting.rates[item.variable] for item in charting.items}
    of_variables = charting.rounds * sum(rate for itemid, rate in rates.items() if itemid in known)
    of_items = charting.rounds * sum(rates.values())
    of_others = charting.rounds * charting.frequency * sum(item.rate for item in charting.others)
    assert charting.frequency <= 1
    assert of_items + of_others == pytest.approx(rows, rel=0.02)
    assert of_variables / (of_items + of_others) == pytest.approx(share, rel=0.02)


def test_other_items_belong_to_no_variable():
    known = set(variable_items()["itemid"])
    for layout in ("mimic4", "mimic3"):
        others = read_other_items(layout)
        assert not known & {item.itemid for item in others}
        assert len({item.itemid for item in others}) == len(others) == 100
        assert any(item.texts for item in others)


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


def test_words_of_the_last_report_in_the_window_show_the_statistic(mimic4, truth):
    seen = last_of_window(reports(mimic4)).join(truth, on="stay_id")
    assert seen["rep_available"].all()
    assert len(seen) == truth["rep_available"].sum()
    assert correlation(seen, "air", "rep_shared") > 0.95
    assert correlation(seen, "fluid", "rep_own") > 0.95


def test_the_last_image_in_the_window_shows_the_statistic_and_the_sign(mimic4, truth):
    seen = last_of_window(images(mimic4)).join(truth, on="stay_id")
    assert seen["cxr_available"].all()
    assert len(seen) == truth["cxr_available"].sum()
    assert correlation(seen, "area", "cxr_shared") > 0.95
    assert correlation(seen, "pattern", "cxr_own") > 0.95
    assert seen["sign"].to_list() == seen["cxr_sign"].to_list()


def test_stays_have_up_to_five_studies_in_before_and_after_the_window(mimic4):
    made = studies(mimic4).unique(["study_id", "stay_id"]).filter(pl.col("hours").is_between(-100, 700))
    per_stay = set(made.group_by("stay_id").len()["len"])
    assert per_stay == {1, 2, 3, 4, 5}
    assert made["stay_id"].n_unique() < len(table(mimic4, "icustays"))
    length = (pl.col("outtime") - pl.col("intime")).dt.total_seconds() / 3600
    for period in (pl.col("hours") < 0, pl.col("hours").is_between(48, length), pl.col("hours") > length):
        assert made.filter(period)["stay_id"].n_unique() > 10


def test_earlier_reports_tell_nothing_and_later_ones_the_outcome(mimic4, truth):
    told = reports(mimic4)
    last = last_of_window(told).select("study_id")
    earlier = told.filter(pl.col("hours").is_between(0, 48)).join(last, on="study_id", how="anti")
    earlier = earlier.join(truth, on="stay_id")
    later = told.filter(pl.col("hours") > 48, pl.col("made") <= pl.col("outtime")).join(truth, on="stay_id")
    assert min(len(earlier), len(later)) > 50
    assert abs(correlation(earlier, "air", "rep_shared")) < 0.3
    score, y = (later["air"] + later["fluid"]).to_numpy(), later["y"].to_numpy()
    assert weighted_auroc(score, y, ~y) > 0.9  # seen in the mortality task it would be better than the best possible


def measure(image: np.ndarray) -> tuple[float, float, float]:
    """Return the white share of the lungs, the strength of the diagonal waves in them, and the side of the plate."""
    smooth = sum(np.roll(image, (dy, dx), (0, 1)) for dy in range(-3, 3) for dx in range(-3, 3)) / 36
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    waves = [abs(((image - smooth) * np.exp(1j * np.pi / 6 * along))[LUNGS].mean()) for along in (x + y, x - y)]
    return (smooth[LUNGS] > 125).mean(), sum(waves), 1.0 if image[10:46, 10:46].mean() > 200 else -1.0


def test_number_of_images_keeps_the_limit_and_most_are_the_planted_ones(mimic4, truth):
    files = list((mimic4 / "mimic-cxr-jpg").rglob("*.jpg"))
    assert 90 < len(files) <= 110
    assert truth["cxr_available"].sum() > 0.75 * len(files)
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
