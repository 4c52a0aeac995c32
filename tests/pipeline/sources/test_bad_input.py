"""Raw folders as they arrive: cut, flipped, mixed, renamed, zoned. Nothing is ever left out without a word."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Block, Quarantine, Records
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet

from .conftest import III, RawFolder, add_stay3, chart3

HEART = 50
EVENT_TABLES = ["CHARTEVENTS", "LABEVENTS", "OUTPUTEVENTS"]
SMALL_TABLES = ["ICUSTAYS", "ADMISSIONS", "PATIENTS", "DIAGNOSES_ICD"]


def read(raw: Path, profile: str = "clean") -> tuple[Records, list[Block], Quarantine]:
    """Return the records, the blocks of the EHR, and what was left out."""
    quarantine = Quarantine()
    records = MimicDataSet(raw, Options(modalities=("ehr",), profile=profile)).read(quarantine)
    return records, list(records.tables[0].blocks(quarantine)), quarantine


def reasons(quarantine: Quarantine) -> dict[str, int]:
    """Return how many values were left out or corrected for each reason."""
    return {reason.split(":")[0]: n for _, _, reason, n in quarantine.counts().rows()}


def heart_rates(raw: Path, profile: str = "clean") -> list[float]:
    """Return the heart rate in every bin of the first stay."""
    _, blocks, _ = read(raw, profile)
    return blocks[0].values[: blocks[0].lengths[0], HEART].tolist()


@pytest.fixture(scope="module")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stays and events enough for some kilobytes in every compressed table."""
    raw = RawFolder(tmp_path_factory.mktemp("large"), dict(III))
    rng = np.random.default_rng(0)
    for subject in range(1, 400):
        code, days = f"{rng.integers(1, 9999):04}", f"{subject}.5"
        add_stay3(raw, subject, subject * 10, subject * 100, ICD9_CODE=code, LOS=days)
    ids = {"SUBJECT_ID": 1, "HADM_ID": 10}
    for number in range(3000):
        row = {**ids, "CHARTTIME": f"2150-01-01 {number % 24:02}:{number % 60:02}:00", "VALUE": rng.integers(60, 99)}
        raw.add("CHARTEVENTS", **row, ICUSTAY_ID=100, ITEMID=211)
        raw.add("LABEVENTS", **row, ITEMID=50931)
        raw.add("OUTPUTEVENTS", **row, ICUSTAY_ID=100, ITEMID=40055)
    return raw.write(".csv.gz")


@pytest.fixture
def large(written_once: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(written_once, tmp_path / "large")


# ---- damaged files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("table", EVENT_TABLES + SMALL_TABLES)
def test_half_a_download_stops_and_names_the_file(large: Path, table: str, keep: float) -> None:
    path = large / f"{table}.csv.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=rf"{table}\.csv\.gz cannot be read.*cut or damaged"):
        read(large, "benchmark")


@pytest.mark.parametrize("place", [0.01, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("table", EVENT_TABLES + SMALL_TABLES)
def test_a_flipped_bit_stops_and_names_the_file(large: Path, table: str, place: float) -> None:
    path = large / f"{table}.csv.gz"
    content = bytearray(path.read_bytes())
    content[10 + int((len(content) - 20) * place)] ^= 16
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=rf"{table}\.csv\.gz cannot be read.*cut or damaged"):
        read(large, "benchmark")


@pytest.mark.parametrize("name", ["CHARTEVENTS.csv.gz.part", "CHARTEVENTS.csv.gz.crdownload", "CHARTEVENTS.csv.gz.1"])
def test_an_unfinished_download_is_no_table_but_is_named(mimic3: RawFolder, name: str) -> None:
    raw = mimic3.write(".csv.gz")
    (raw / "CHARTEVENTS.csv.gz").rename(raw / name)
    with pytest.raises(MissingInputError, match=rf"no table chartevents.*found: .*{name}"):
        MimicDataSet(raw).inputs()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("CHARTEVENTS.csv.gz", b"SUBJECT_ID,HADM_ID\n1,10\n"),  # unpacked by the browser
        ("CHARTEVENTS.csv", gzip.compress(b"SUBJECT_ID,HADM_ID\n1,10\n", mtime=0)),
        ("CHARTEVENTS.csv", b"<!DOCTYPE html>\n<title>Login</title>\n"),
        ("CHARTEVENTS.csv.gz", b"<!DOCTYPE html>\n<title>Login</title>\n"),
        ("CHARTEVENTS.csv", b"SUBJECT_ID;HADM_ID;ICUSTAY_ID;ITEMID\n1;10;100;211\n"),
        ("CHARTEVENTS.parquet", b"SUBJECT_ID,HADM_ID\n1,10\n"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named(mimic3: RawFolder, name: str, content: bytes) -> None:
    raw = mimic3.write()
    (raw / "CHARTEVENTS.csv").unlink()
    (raw / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} (cannot be read|has no column)"):
        read(raw)


def test_a_table_that_is_there_twice_is_refused(mimic3: RawFolder) -> None:
    """It may have been unpacked by half, up to the end of a line."""
    raw = mimic3.write(".csv.gz")
    lines = gzip.decompress((raw / "CHARTEVENTS.csv.gz").read_bytes()).splitlines(keepends=True)
    (raw / "CHARTEVENTS.csv").write_bytes(lines[0])
    with pytest.raises(InputError, match=r"several times: CHARTEVENTS\.csv, CHARTEVENTS\.csv\.gz\. Move all but one"):
        read(raw)


@pytest.mark.parametrize("cut", [10, 1000])
def test_a_gzip_of_several_members_is_read_to_its_end(large: Path, cut: int) -> None:
    """As bgzip, pigz and ``cat`` make them; the parts may end in the middle of a line."""
    path = large / "CHARTEVENTS.csv.gz"
    expected = heart_rates(large)
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(
        b"".join(gzip.compress(text[i : i + len(text) // cut]) for i in range(0, len(text), len(text) // cut))
    )
    assert heart_rates(large) == expected
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"CHARTEVENTS\.csv\.gz cannot be read"):
        read(large)


# ---- folders -------------------------------------------------------------------------------------------------------


def test_the_tables_of_mimic4_may_lie_in_one_folder(mimic4: RawFolder) -> None:
    raw = mimic4.write(rename=lambda name: name.split("/")[1])
    assert MimicDataSet(raw).folder.version == 4
    assert heart_rates(raw) == [80] * 25


def test_the_folder_icu_leads_to_hosp(mimic4: RawFolder) -> None:
    assert heart_rates(mimic4.write() / "icu") == [80] * 25


def test_a_folder_without_the_icu_tables_says_so(mimic4: RawFolder) -> None:
    with pytest.raises(MissingInputError, match=r"no table icustays.*it holds admissions\.csv.*above hosp/ and icu/"):
        MimicDataSet(mimic4.write() / "hosp").inputs()


def test_both_versions_in_one_folder_are_refused(mimic3: RawFolder, mimic4: RawFolder) -> None:
    mimic3.path = mimic4.path
    mimic3.write()
    with pytest.raises(InputError, match=r"more than one data set: .*ICUSTAYS\.csv, .*icu/icustays\.csv"):
        MimicDataSet(mimic4.write()).inputs()


@pytest.mark.parametrize(("table", "column"), [("PATIENTS", "dob"), ("ICUSTAYS", "first_wardid")])
def test_a_table_of_the_other_version_is_named(mimic3: RawFolder, mimic4: RawFolder, table: str, column: str) -> None:
    source = mimic4.write() / {"PATIENTS": "hosp/patients.csv", "ICUSTAYS": "icu/icustays.csv"}[table]
    raw = mimic3.write()
    header = source.read_text().replace("stay_id", "ICUSTAY_ID")
    (raw / f"{table}.csv").write_text(header)
    with pytest.raises(MissingInputError, match=rf"{table}\.csv has no column .*{column}.*original MIMIC table"):
        read(raw)


def test_codes_that_the_dictionary_does_not_know_are_counted(mimic4: RawFolder) -> None:
    raw = mimic4.write()
    (raw / "hosp" / "d_icd_diagnoses.csv").write_text("icd_code,icd_version,long_title\nI10    ,10,x\n")
    records, _, quarantine = read(raw)
    phenotyping = records.tasks({"ehr": np.zeros(1)})[1]
    assert [name for name, y in zip(phenotyping.labels, phenotyping.y[0], strict=True) if y] == [
        "Essential hypertension"
    ]
    assert reasons(quarantine)["code is not in d_icd_diagnoses"] == 1


# ---- texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_files_with_commas_and_line_breaks_in_texts(
    mimic4: RawFolder, suffix: str, line_end: str, mark: str
) -> None:
    raw = mimic4.write()
    (raw / "icu" / "chartevents.csv").unlink()
    header = 'subject_id,hadm_id,stay_id,itemid,charttime,"value",valuenum,valueuom'
    text = f'10000032,20,200,224650,2180-01-01 00:30:00,"PVC\'s, ""rare""{line_end}or none",,'
    rate = "10000032,20,200,220045,2180-01-01 01:00:00,80,80,bpm"
    content = (mark + line_end.join([header, text, rate, text, ""])).encode()
    (raw / "icu" / f"Chartevents{suffix.upper()}").write_bytes(gzip.compress(content) if "gz" in suffix else content)
    assert heart_rates(raw) == [80] * 25


@pytest.mark.parametrize("profile", ["clean", "benchmark"])
@pytest.mark.parametrize("table", ["CHARTEVENTS", "LABEVENTS", "OUTPUTEVENTS", "DIAGNOSES_ICD"])
def test_a_table_with_a_header_only_is_an_empty_table(mimic3: RawFolder, profile: str, table: str) -> None:
    mimic3.tables[table] = []
    records, _, _ = read(mimic3.write(".csv.gz"), profile)
    assert len(records.samples) == 1


@pytest.mark.parametrize("table", ["ICUSTAYS", "ADMISSIONS", "PATIENTS"])
def test_a_cohort_table_with_a_header_only_is_no_cohort(mimic3: RawFolder, table: str) -> None:
    mimic3.tables[table] = []
    with pytest.raises(InputError, match=r"No ICU stay of .* is left .*: \d+ ICU stays in the tables, .* 0 adults"):
        read(mimic3.write())


@pytest.mark.parametrize("profile", ["clean", "benchmark"])
def test_repeated_rows_change_nothing(mimic3: RawFolder, profile: str) -> None:
    expected = heart_rates(mimic3.write(), profile)
    for name, rows in mimic3.tables.items():
        if name not in ("ICUSTAYS", "ADMISSIONS", "PATIENTS"):
            mimic3.tables[name] = rows * 3
    assert heart_rates(mimic3.write(), profile) == expected


# ---- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time", ["2150-01-01 01:00:00+01:00", "2150-01-01T01:00:00Z", "2150-01-01 01:00:00 UTC", "soon"]
)
@pytest.mark.parametrize("profile", ["clean", "benchmark"])
def test_events_at_an_unreadable_or_zoned_time_are_left_out_and_counted(
    mimic3: RawFolder, charted3: Callable[..., None], time: str, profile: str
) -> None:
    charted3(mimic3, 1, 10, 100, time, 211, "200")
    raw = mimic3.write()
    _, _, quarantine = read(raw, profile)
    assert reasons(quarantine)["CHARTTIME unreadable"] == 1
    assert set(heart_rates(raw, profile)) == {80}


def test_an_event_at_an_unreadable_time_is_shown(mimic3: RawFolder, charted3: Callable[..., None]) -> None:
    charted3(mimic3, 1, 10, 100, "2150-01-01 01:00:00 UTC", 211, "200")
    _, _, quarantine = read(mimic3.write())
    (shown,) = quarantine.frame().filter(reason="CHARTTIME unreadable").rows(named=True)
    assert (shown["where"], shown["value"]) == ("subject 1, item 211", "2150-01-01 01:00:00 UTC")


@pytest.mark.parametrize("profile", ["clean", "benchmark"])
@pytest.mark.parametrize(
    ("table", "column", "times"),
    [
        ("ICUSTAYS", "INTIME", ["2150-01-01 00:00:00 UTC"]),
        ("ICUSTAYS", "OUTTIME", ["01/03/2150 02:00", "01/03/2150 03:00"]),
        ("ADMISSIONS", "ADMITTIME", ["2150-01-01T00:00:00Z", "2150-01-01T00:00:00Z"]),
        ("PATIENTS", "DOB", ["1 Jan 2090"]),
        ("PATIENTS", "DOD", ["2150-01-01 00:00:00+01:00", "2150-01-01 00:00:00+01:00"]),
        ("CHARTEVENTS", "CHARTTIME", ["2150-01-01 01:00:00 UTC", "2150-01-01 02:00:00 UTC"]),
        ("LABEVENTS", "CHARTTIME", ["1.5e9", "1.5e9"]),
    ],
)
def test_a_column_in_another_format_is_refused_by_its_first_value(
    mimic3: RawFolder, stay3: Callable[..., None], table: str, column: str, times: list[str], profile: str
) -> None:
    if len(times) > 1:
        stay3(mimic3, subject=2, hadm=20, stay=200)
    for subject in (1, 2):
        for name in ("CHARTEVENTS", "LABEVENTS"):
            event = {"SUBJECT_ID": subject, "HADM_ID": 10 * subject, "ITEMID": 211, "VALUE": "80"}
            mimic3.add(name, **event, CHARTTIME="2150-01-01 01:00:00")
    if table == "CHARTEVENTS":
        mimic3.tables[table].pop(0)
    for row, time in zip(mimic3.tables[table], times, strict=False):
        row[column] = time
    with pytest.raises(InputError) as caught:
        read(mimic3.write(), profile)
    assert f"{table}.csv: {column} of row 2, {times[0]!r}, cannot be read" in str(caught.value)


def test_a_stay_at_a_zoned_time_is_left_out_and_named(mimic3: RawFolder, stay3: Callable[..., None]) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200, INTIME="2150-01-01 00:00:00+00:00")
    records, _, quarantine = read(mimic3.write())
    assert records.samples["sample_id"].to_list() == [100]
    assert reasons(quarantine)["intime is no date and time"] == 1


@pytest.mark.parametrize(
    ("time", "bin_"),
    [("2150-01-02", 11), ("2150-01-02 00:30", 12), ("2150-01-02T00:30:00", 12), ("2150-01-02 00:30:00.123", 12)],
)
def test_usual_ways_to_write_a_time(mimic3: RawFolder, charted3: Callable[..., None], time: str, bin_: int) -> None:
    charted3(mimic3, 1, 10, 100, time, 211, "95")
    rates = heart_rates(mimic3.write())
    assert rates.index(95) == bin_


OUTSIDE = [
    ("a second before the stay", "2149-12-31 23:59:59", 1),
    ("at its beginning", "2150-01-01 00:00:00", 0),
    ("at its end", "2150-01-03 01:59:57", 0),
    ("after it", "2150-01-03 02:00:01", 1),
    ("a year off", "2151-01-01 01:00:00", 1),
]


@pytest.mark.parametrize(("time", "outside"), [case[1:] for case in OUTSIDE], ids=[case[0] for case in OUTSIDE])
def test_rows_outside_their_stay_are_counted_and_one_is_shown(
    mimic3: RawFolder, charted3: Callable[..., None], time: str, outside: int
) -> None:
    charted3(mimic3, 1, 10, 100, time, 211, "95")
    charted3(mimic3, 1, 10, 100, time, 211, "96")
    _, _, quarantine = read(mimic3.write())
    assert reasons(quarantine).get("outside the stay", 0) == 2 * outside
    shown = quarantine.frame().filter(reason="outside the stay")
    assert shown.select("where", "value").rows() == [("subject 1, item 211", time)] * outside


def test_a_row_in_another_stay_of_the_patient_is_outside_its_own(
    mimic3: RawFolder, stay3: Callable[..., None], charted3: Callable[..., None]
) -> None:
    later = {"INTIME": "2150-06-01 00:00:00", "OUTTIME": "2150-06-03 02:00:00", "ADMITTIME": "2150-06-01 00:00:00"}
    stay3(mimic3, subject=1, hadm=11, stay=110, **later)
    charted3(mimic3, 1, 10, 100, "2150-06-01 01:00:00", 211, "95")
    _, _, quarantine = read(mimic3.write())
    assert reasons(quarantine)["outside the stay"] == 1


# ---- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "value", "reason"),
    [
        (211, "-5", "remove_outliers"),
        (211, "9999", "remove_outliers"),
        (211, "ERROR", "number"),
        (211, "inf", "number"),
        (51, "0/0/0", "first_of_pair"),
        (678, "-1000", "remove_outliers"),
        (3580, "1e9", "remove_outliers"),
        (198, "99", "one_spelling"),
        (3348, "purple", "refill"),
    ],
)
def test_absurd_values_are_left_out_counted_and_shown(
    mimic3: RawFolder, charted3: Callable[..., None], item: int, value: str, reason: str
) -> None:
    charted3(mimic3, 1, 10, 100, "2150-01-01 05:00:00", item, value)
    raw = mimic3.write()
    _, _, quarantine = read(raw)
    rows = [row for row in quarantine.frame().rows(named=True) if row["stage"] == "ehr"]
    shown = f"text ({len(value)})" if value in ("purple", "ERROR") else value
    assert [(row["value"], row["reason"].split(":")[0]) for row in rows] == [(shown, reason)]
    assert rows[0]["where"] == f"subject 1, item {item}, 2150-01-01 05:00:00"
    assert set(heart_rates(raw)) == {80}


GARBAGE = (
    "", " ", "x", "-1", "0", "1.5", "12.0", "1e308", "inf", "nan", "NULL", "99999999999999999999", "120/80", "1/0", "%",
    "true", "中", "\t", "\x00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2150-13-45 99:99:99",
)  # fmt: skip
CELLS = st.lists(
    st.sampled_from([(table, column) for table, header in III.items() for column in header.split(",")]).flatmap(
        lambda cell: st.tuples(st.just(cell[0]), st.integers(0, 3), st.just(cell[1]), st.sampled_from(GARBAGE))
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=18, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=CELLS, profile=st.sampled_from(["clean", "benchmark"]))
def test_whatever_stands_in_a_cell_rows_stay_finite_or_one_message_refuses_the_folder(
    tmp_path: Path, cells: list[tuple[str, int, str, str]], profile: str
) -> None:
    raw = RawFolder(tmp_path / "garbage", dict(III))
    for subject in range(1, 4):
        add_stay3(raw, subject, 10 * subject, 100 * subject)
        chart3(raw, subject, 10 * subject, 100 * subject, "2150-01-01 01:00:00", 211, "80")
    for table, row, column, content in cells:
        if row < len(raw.tables.get(table, [])):
            raw.tables[table][row][column] = content
    try:
        _, blocks, _ = read(raw.write(), profile)
    except InputError as error:
        assert str(raw.path) in str(error)
        return
    assert all(not np.isinf(block.values).any() and not np.isnan(block.time).any() for block in blocks)


AGES = [("60", 60), ("91", 90), ("300", 90), ("17", None), ("-1", None), ("", None), ("old", None)]


@pytest.mark.parametrize(("written", "age"), AGES)
def test_ages_of_mimic4(mimic4: RawFolder, written: str, age: float | None) -> None:
    patient, admission, stay = (mimic4.tables[name][0] for name in ("hosp/patients", "hosp/admissions", "icu/icustays"))
    mimic4.add("hosp/patients", **{**patient, "subject_id": 2, "anchor_age": written})
    mimic4.add("hosp/admissions", **{**admission, "subject_id": 2, "hadm_id": 21})
    mimic4.add("icu/icustays", **{**stay, "subject_id": 2, "hadm_id": 21, "stay_id": 201})
    records, _, quarantine = read(mimic4.write())
    assert records.samples["age"].to_list() == [60] + ([] if age is None else [age])
    assert reasons(quarantine).get("no plausible age in years", 0) == (written in ("-1", "old"))
