"""PhysioNet 2012 records, hand-made and real, as samples, rows and labels."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Block, Quarantine, Records, TableModality
from omnifuse.pipeline.sources.physionet2012 import Physionet2012DataSet

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
    record(tmp_path, 1, "01:00,,5\n01:00,HR,high\n01:61,HR,80\n48:01,HR,80\nHR\n02:00,HR,80,extra\n\n")
    records, quarantine = read(Physionet2012DataSet(tmp_path))
    counts = dict(quarantine.counts().filter(pl.col("source") == "records").select("reason", "count").iter_rows())
    assert counts == {"no parameter name": 2, "time is not HH:MM within 48 hours": 2, "value is not a number": 1}
    table, rows = block(records, "vitals")
    assert column(table, rows, "HR")[0] == 80


def test_a_record_without_series_stays_without_rows(raw: Path) -> None:
    records, quarantine = read(Physionet2012DataSet(raw))
    assert block(records, "labs")[1].lengths.tolist() == [0, 24]
    assert quarantine.counts()["reason"].to_list() == [
        "no time series: the record stays, without rows of vitals and labs"
    ]


def test_the_task_is_death_in_hospital(raw: Path) -> None:
    (task,) = read(Physionet2012DataSet(raw))[0].tasks({})
    assert (task.name, task.kind, task.window_hours) == ("mortality", "binary", 48)
    np.testing.assert_array_equal(task.y, [[1], [0]])
    assert task.counts == (("records", 2), ("an outcome", 2))


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
    [("RecordID,Death\n7,1\n", "no column 'In-hospital_death'"), (f"{OUTCOMES}7,1,1,5,-1,2\n", "record 7: .* is '2'")],
)
def test_outcomes_that_cannot_be_read_are_refused(raw: Path, table: str, message: str) -> None:
    (raw / "Outcomes-a.txt").write_text(table)
    with pytest.raises(InputError, match=message):
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
