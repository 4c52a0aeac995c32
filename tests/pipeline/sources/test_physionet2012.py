"""PhysioNet 2012 records, hand-made and real, as samples, rows and labels."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Block, Quarantine, Records, TableModality
from omnifuse.pipeline.sources.physionet2012.data_set import Physionet2012DataSet
from omnifuse.pipeline.sources.physionet2012.records import RECORD_ID, read_rows

PATIENT = "00:00,RecordID,{0}\n00:00,Age,54\n00:00,Gender,0\n00:00,Height,170\n00:00,ICUType,4\n00:00,Weight,-1\n"
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Record 7 has a heart rate and a pH, record 3 nothing but its description."""
    record(tmp_path, 7, "00:30,HR,80\n01:59,HR,90\n02:01,HR,100\n48:00,HR,70\n05:00,pH,7.4\n")
    record(tmp_path, 3, "")
    (tmp_path / "Outcomes-a.txt").write_text(f"{OUTCOMES}3,1,1,5,-1,1\n7,1,1,5,-1,0\n")
    return tmp_path


def record(raw: Path, number: int, rows: str, *, folder: str = "set-a", patient: str = PATIENT) -> Path:
    path = raw / folder / f"{number}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("Time,Parameter,Value\n" + patient.format(number) + rows)
    return path


def read(dataset: Physionet2012DataSet) -> tuple[Records, Quarantine]:
    quarantine = Quarantine()
    return dataset.read(quarantine), quarantine


def block(records: Records, name: str, quarantine: Quarantine | None = None) -> tuple[TableModality, Block]:
    table = next(table for table in records.tables if table.name == name)
    (only,) = table.blocks(quarantine or Quarantine())
    return table, only


def column(table: TableModality, rows: Block, name: str) -> npt.NDArray[np.float32]:
    return rows.values[:, [column.name for column in table.columns].index(name)]


def test_samples_are_records_in_order_of_their_number(raw: Path) -> None:
    samples = read(Physionet2012DataSet(raw))[0].samples
    assert samples["sample_id"].to_list() == samples["subject_id"].to_list() == [3, 7]
    expected = {"age": 54, "sex": "F", "height": 170, "weight": None, "icu_type": 4, "set": "set-a"}
    assert samples.select(*expected).row(0, named=True) == expected


def test_the_last_value_of_a_bin_is_carried_forward_and_masks_tell_what_was_seen(raw: Path) -> None:
    table, rows = block(read(Physionet2012DataSet(raw))[0], "vitals")
    np.testing.assert_array_equal(rows.lengths, [0, 24])
    np.testing.assert_array_equal(rows.time, np.arange(2, 50, 2))
    np.testing.assert_array_equal(column(table, rows, "HR"), [90] + [100] * 22 + [70])
    np.testing.assert_array_equal(column(table, rows, "mask->HR"), [1, 1] + [0] * 21 + [1])
    assert np.isnan(column(table, rows, "Temp")).all()


def test_before_the_first_observation_there_is_no_value(raw: Path) -> None:
    table, rows = block(read(Physionet2012DataSet(raw))[0], "labs")
    np.testing.assert_array_equal(column(table, rows, "pH"), np.float32([np.nan, np.nan] + [7.4] * 22))


def test_bins_may_be_longer(raw: Path) -> None:
    table, rows = block(read(Physionet2012DataSet(raw, bin_hours=24.0))[0], "vitals")
    np.testing.assert_array_equal(column(table, rows, "HR"), [100, 70])
    np.testing.assert_array_equal(rows.time, [24, 48])


def test_columns_are_14_vitals_and_22_labs_with_a_mask_each(raw: Path) -> None:
    tables = {table.name: table for table in read(Physionet2012DataSet(raw))[0].tables}
    assert {name: len(table.columns) for name, table in tables.items()} == {"vitals": 28, "labs": 44, "static": 8}
    for name in ("vitals", "labs"):
        half = len(tables[name].columns) // 2
        values, masks = tables[name].columns[:half], tables[name].columns[half:]
        assert [(mask.variable, mask.role) for mask in masks] == [(value.name, "mask") for value in values]


def test_static_is_one_row_with_what_is_known(raw: Path) -> None:
    _, rows = block(read(Physionet2012DataSet(raw))[0], "static")
    np.testing.assert_array_equal(rows.lengths, [1, 1])
    np.testing.assert_array_equal(rows.values[0], np.float32([54, 0, 170, np.nan, 0, 0, 0, 1]))


def test_descriptions_that_are_no_patients_are_missing_and_counted(tmp_path: Path) -> None:
    slips = "00:00,Age,54\n00:00,Gender,-1\n00:00,Height,13\n00:00,ICUType,9\n00:00,Weight,70.5\n"
    record(tmp_path, 1, "", patient=slips)
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    np.testing.assert_array_equal(
        block(records, "static")[1].values, np.float32([[54, np.nan, np.nan, 70.5, np.nan, np.nan, np.nan, np.nan]])
    )
    counted = quarantine.counts().filter(pl.col("stage") == "values")
    assert dict(counted.select("source", "count").iter_rows()) == {"Height": 1, "ICUType": 1}


def test_values_that_no_patient_has_are_dropped_and_counted(tmp_path: Path) -> None:
    record(tmp_path, 1, "01:00,pH,735\n02:00,pH,736\n03:00,pH,7.35\n04:00,HR,0\n05:00,HR,-1\n")
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    table, rows = block(records, "labs", quarantine)
    assert set(column(table, rows, "pH")[1:]) == {np.float32(7.35)}
    counted = quarantine.counts().filter(pl.col("stage") == "values")
    assert counted.select("source", "reason", "count").rows() == [("pH", "outside 6.5 to 8", 2)]
    assert block(records, "vitals", quarantine)[1].lengths.tolist() == [0]


def test_rows_that_say_nothing_are_dropped_and_counted(tmp_path: Path) -> None:
    record(
        tmp_path, 1,
        "01:00,,5\n01:00,HR,high\n01:61,HR,80\n48:01,HR,80\n24:00:00,HR,80\n,HR,80\nHR\n02:00,HRR,80\n\n03:00,Age,30\n"
        "02:00,HR,80,\n",
    )  # fmt: skip
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    left_out = quarantine.frame().filter(pl.col("source") == "records").sort("reason")
    assert left_out.select("reason", "where", "value").rows() == [
        ("no parameter name", "set-a/1.txt, row 8", "01:00,,5"),
        ("the patient is described at 00:00 alone", "set-a/1.txt, row 17", "03:00,Age,30"),
        ("time is not HH:MM within 48 hours", "set-a/1.txt, row 10", "01:61,HR,80"),
        ("unknown parameter", "set-a/1.txt, row 15", "02:00,HRR,80"),
        ("value is not a number", "set-a/1.txt, row 9", "text (13)"),
    ]
    counts = dict(quarantine.counts().filter(pl.col("source") == "records").select("reason", "count").iter_rows())
    assert counts == dict.fromkeys(counts, 1) | {"no parameter name": 3, "time is not HH:MM within 48 hours": 4}
    table, rows = block(records, "vitals")
    assert column(table, rows, "HR")[0] == 80


@pytest.mark.parametrize(
    ("row", "shown"),
    [("05:00,K,4,2", "05:00,K,4,2"), ("05:00,K,4,,2", "05:00,K,4, "), ("05:00,K,4,2,,", "05:00,K,4,2")],
)
def test_a_decimal_comma_is_not_cut_off(tmp_path: Path, row: str, shown: str) -> None:
    record(tmp_path, 1, f"01:00,K,3.9\n{row}\n")
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    table, rows = block(records, "labs")
    assert column(table, rows, "K").tolist() == np.float32([3.9] * 24).tolist()
    left_out = quarantine.frame().filter(pl.col("source") == "records")
    assert left_out.select("where", "value", "reason").rows() == [
        ("set-a/1.txt, row 9", shown, "the row has more than three fields")
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_any_system_ends_them(raw: Path, end: str) -> None:
    path = raw / "set-a" / "7.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_text().replace("\n", end).encode())
    table, rows = block(read(Physionet2012DataSet(raw))[0], "vitals")
    np.testing.assert_array_equal(column(table, rows, "HR"), [90] + [100] * 22 + [70])


def test_codes_of_nothing_and_a_second_description_are_counted(tmp_path: Path) -> None:
    twice = "00:00,Age,54\n00:00,Gender,0.5\n00:00,Height,170\n00:00,Age,80\n00:00,ICUType,2\n"
    record(tmp_path, 1, "", patient=twice)
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    assert records.samples.select("age", "sex", "icu_type").row(0) == (54, None, 2)
    counted = quarantine.counts().filter(pl.col("stage") == "values").select("source", "reason", "count").rows()
    assert counted == [("Age", "described twice: the first is taken", 1), ("Gender", "no whole number", 1)]


FIELDS = ("01:00", "24:00:00", "99:00", "HR", "pH", "7.2", "-1", "1e999", '"', "", " ")
LINES = st.lists(
    st.one_of(
        st.just("01:00,HR,80"),
        st.lists(st.sampled_from(FIELDS), max_size=6).map(",".join),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20),
    ),
    max_size=12,
).filter(lambda lines: not any(RECORD_ID in line for line in lines))  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=3), st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_line_of_a_record_is_a_row_or_counted(records: list[list[str]], end: str) -> None:
    with TemporaryDirectory() as folder:
        files = {}
        for number, lines in enumerate(records):
            files[number] = Path(folder, f"{number}.txt")
            files[number].write_bytes(end.join(["Time,Parameter,Value", *lines, "02:00,HR,81"]).encode())
        quarantine = Quarantine()
        ((some, rows),) = read_rows(files, quarantine)
    not_measured = sum(is_not_measured(line) for lines in records for line in lines)
    assert some == list(files)
    assert len(rows) + quarantine.total + not_measured == sum(len(lines) + 1 for lines in records)
    measured = rows.filter(pl.col("minute") == 60, parameter="HR", value=80).group_by("record").len().sort("record")
    assert dict(measured.iter_rows()) == {
        number: found for number, lines in enumerate(records) if (found := lines.count("01:00,HR,80"))
    }


def is_not_measured(line: str) -> bool:
    """Whether a line says of a parameter that it was not measured, at a time that can be."""
    time, parameter, value, *rest = [*map(str.strip, line.split(",")), "", "", ""][:4] + line.split(",")[4:]
    return (time, value) == ("01:00", "-1") and parameter in ("HR", "pH") and not any(rest)


def test_a_record_without_series_stays_without_rows(raw: Path) -> None:
    records, quarantine = read(Physionet2012DataSet(raw))
    assert block(records, "labs")[1].lengths.tolist() == [0, 24]
    assert quarantine.counts()["reason"].to_list() == [
        "no time series: the record stays, without rows of vitals and labs"
    ]


def test_the_task_is_death_in_hospital(raw: Path) -> None:
    task = read(Physionet2012DataSet(raw))[0].tasks({})[0]
    assert (task.name, task.kind, task.window_hours) == ("mortality", "binary", 48)
    np.testing.assert_array_equal(task.y, [[1], [0]])
    assert task.counts == (("records", 2), ("an outcome", 2))


def test_days_in_hospital_and_time_to_a_death_there_are_tasks_too(raw: Path) -> None:
    """Who leaves alive is censored at discharge, whatever is known of later."""
    record(raw, 9, "00:30,HR,80\n")
    record(raw, 11, "00:30,HR,80\n")
    rows = "3,1,1,5,4,1\n7,1,1,-1,-1,0\n9,1,1,12,300,0\n11,1,1,-1,2,1.0\n"
    (raw / "Outcomes-a.txt").write_text(OUTCOMES + rows)
    _, stay, death = read(Physionet2012DataSet(raw))[0].tasks({})
    assert (stay.name, stay.kind, stay.unit, stay.window_hours) == ("length_of_stay", "regression", "d", 48)
    np.testing.assert_array_equal(stay.y, [[5], [np.nan], [12], [np.nan]])
    assert (death.name, death.kind, death.unit) == ("death", "survival", "d")
    np.testing.assert_array_equal(death.y, [[4, 1], [np.nan, np.nan], [12, 0], [2, 1]])


def test_records_of_a_set_without_outcomes_have_no_label(raw: Path) -> None:
    record(raw, 9, "00:30,HR,80\n", folder="set-b")
    records, quarantine = read(Physionet2012DataSet(raw))
    np.testing.assert_array_equal(records.tasks({})[0].y, [[1], [0], [np.nan]])
    assert ("set-b record 9",) in quarantine.frame().select("where").rows()


def test_without_any_outcomes_there_is_no_task(raw: Path) -> None:
    (raw / "Outcomes-a.txt").unlink()
    assert read(Physionet2012DataSet(raw))[0].tasks({}) == ()


def test_the_sets_may_lie_one_folder_deeper(tmp_path: Path) -> None:
    path = record(tmp_path / "challenge-2012", 7, "")
    assert (
        Physionet2012DataSet(tmp_path).inputs() == Physionet2012DataSet(tmp_path / "challenge-2012").inputs() == [path]
    )


def test_inputs_are_the_records_that_are_read_and_the_outcomes(raw: Path) -> None:
    names = [path.name for path in Physionet2012DataSet(raw, limit=1).inputs()]
    assert names == ["3.txt", "Outcomes-a.txt"]


def test_modalities_can_be_chosen(raw: Path) -> None:
    records, _ = read(Physionet2012DataSet(raw, modalities=("static", "labs")))
    assert [table.name for table in records.tables] == ["labs", "static"]
    with pytest.raises(InputError, match="no modality 'cxr'; it has vitals, labs, static"):
        Physionet2012DataSet(raw, modalities=("cxr",))


def test_a_folder_without_records_says_where_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "set-a.tar.gz").touch()
    with pytest.raises(MissingInputError, match=r"set-a\.tar\.gz\. Download .*physionet\.org/content/challenge-2012"):
        Physionet2012DataSet(tmp_path).inputs()


def test_a_file_that_says_it_is_another_record_is_refused(raw: Path) -> None:
    record(raw, 8, "", patient=PATIENT.format(132540))
    with pytest.raises(InputError, match=r"set-a/8\.txt, row 2: the file says that it is record 132540\. Whose rows"):
        read(Physionet2012DataSet(raw))


@pytest.mark.parametrize("name", ["²", "1" * 19, "٣"])
def test_files_without_the_number_of_a_record_are_none(raw: Path, name: str) -> None:
    (raw / "set-a" / f"{name}.txt").touch()
    assert list(Physionet2012DataSet(raw).files) == [3, 7]


def test_a_record_that_is_there_twice_is_refused(raw: Path) -> None:
    record(raw, 7, "", folder="copy/set-a")
    with pytest.raises(InputError, match="Record 7 is there twice"):
        Physionet2012DataSet(raw).inputs()


def test_another_kind_of_file_is_refused(raw: Path) -> None:
    (raw / "set-a" / "8.txt").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"8\.txt, line 1: expected Time,Parameter,Value, got 'a,b'"):
        read(Physionet2012DataSet(raw))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("RecordID,Death\n7,1\n", "no column 'In-hospital_death'"),
        (f"{OUTCOMES}7,1,1,5,-1,2\n", "record 7: .* is '2'"),
        (f"{OUTCOMES}7,1,1,5,-1\n", "Outcomes-a.txt, line 2 has 5 fields, the header 6"),
        (f"{OUTCOMES}7,1,1,5,-1,\n", "record 7: .* is None"),
        (f"{OUTCOMES}7.5,1,1,5,-1,1\n", "row 2: RecordID is '7.5', expected a number"),
        (f"{OUTCOMES},1,1,5,-1,1\n", "row 2: RecordID is None"),
        (f"{OUTCOMES}7,1,1,5,-1,1,9\n", "Outcomes-a.txt, line 2 has 7 fields, the header 6"),
        (f"{OUTCOMES}7,1,1,5,-1,1\n7,1,1,5,-1,0\n", "row 3: record 7 died, and did not. Keep one"),
        (f"{OUTCOMES}8,1,1,5,-1,1\n", "the outcome of none of the records, such as 3; it names 8"),
        ("", "Outcomes-a.txt is empty"),
        (f"{OUTCOMES}7,1,1,five,-1,1\n", "record 7: Length_of_stay is 'five', expected days, or -1"),
        (f"{OUTCOMES}7,1,1,5,-2,1\n", "record 7: Survival is '-2', expected days, or -1"),
    ],
)
def test_outcomes_that_cannot_be_read_are_refused(raw: Path, table: str, message: str) -> None:
    (raw / "Outcomes-a.txt").write_text(table)
    with pytest.raises(InputError, match=message):
        read(Physionet2012DataSet(raw))


def test_outcomes_may_be_written_as_floats(raw: Path) -> None:
    (raw / "Outcomes-a.txt").write_text(f"{OUTCOMES}3.0,1,1,5,-1,1.0\n7.0,1,1,5,-1,0.0\n")
    assert read(Physionet2012DataSet(raw))[0].tasks({})[0].y.tolist() == [[1], [0]]


def test_two_sets_may_not_give_a_record_two_outcomes(raw: Path) -> None:
    (raw / "Outcomes-b.txt").write_text(f"{OUTCOMES}3,1,1,5,-1,0\n")
    with pytest.raises(InputError, match=r"Outcomes-b\.txt, row 2: record 3 died, and did not"):
        read(Physionet2012DataSet(raw))


def test_set_a_is_read_whole(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = shared_data("physionet2012")
    with tarfile.open(source / "set-a.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    shutil.copy(source / "Outcomes-a.txt", tmp_path)
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    y = records.tasks({})[0].y
    assert (len(y), int(y.sum())) == (4000, 554)
    silent = quarantine.frame().filter(pl.col("reason").str.starts_with("no time series"))
    assert silent["where"].to_list() == ["140501"]  # 140936 and 141264 are counted with it
    present = {}
    for table in records.tables:
        lengths = np.concatenate([part.lengths for part in table.blocks(quarantine)])
        present[table.name] = int((lengths > 0).sum())
    assert present == {"vitals": 3947, "labs": 3972, "static": 4000}
