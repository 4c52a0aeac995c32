"""Workbooks of Excel as tables of a user."""

import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.files.data_set import FilesDataSet
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet
from omnifuse.pipeline.tables.excel import read_excel

HEADER = ("sample_id", "subject_id", "label", "num:age", "t0")


def workbook(path: Path, *rows: tuple[Any, ...], **others: list[tuple[Any, ...]]) -> Path:
    """Write rows to the first sheet, and others to sheets of these names."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, cells in others.items():
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_are_the_text_that_they_show(tmp_path: Path) -> None:
    times = (date(2020, 1, 31), datetime(2020, 1, 31, 12, 30))
    path = workbook(tmp_path / "x.xlsx", ("a", "b", "c", "d"), (1.0, 0.5, *times), (True, None, "#N/A", " x "))
    table = read_excel(path)
    assert table.rows() == [("1", "0.5", "2020-01-31", "2020-01-31 12:30:00"), ("true", None, "#N/A", " x ")]
    assert read_excel(path, rows=0).columns == ["a", "b", "c", "d"]


def test_empty_rows_and_columns_behind_the_table_are_none_of_it(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", ("a", "b", None), (1, 2, None), (None, None), (3, None), (None, ""))
    assert read_excel(path).rows() == [("1", "2"), (None, None), ("3", None)]


def test_a_table_of_samples_and_its_events_may_be_workbooks(tmp_path: Path) -> None:
    samples = workbook(
        tmp_path / "samples.xlsx", HEADER, (2, 7, 1, 61.5, datetime(2020, 1, 1)), (1, 7, "NA", "NA", date(2020, 1, 2))
    )
    events = workbook(
        tmp_path / "events.xlsx", ("sample_id", "time", "variable", "value"), (2, datetime(2020, 1, 1, 1), "HR", 80)
    )
    dataset, quarantine = FilesDataSet(samples, events={"v": events}), Quarantine()
    dataset.inputs()
    records = dataset.read(quarantine)
    assert records.samples.rows() == [(1, 7), (2, 7)]
    np.testing.assert_array_equal(records.tasks({})[0].y[:, 0], [np.nan, 1])
    assert [table.blocks(quarantine).__next__().values.tolist() for table in records.tables] == [[[61.5]], [[80, 1]]]
    assert quarantine.total == 0


def test_features_may_be_a_workbook(tmp_path: Path) -> None:
    samples = workbook(tmp_path / "samples.xlsx", ("sample_id",), ("a",))
    features = workbook(tmp_path / "rna.xlsx", ("sample_id", "g"), ("a", 1.5))
    (table,) = ImportedDataSet(samples, {"rna": features}).read(Quarantine()).tables
    assert next(table.blocks(Quarantine())).values.tolist() == [[1.5]]


def test_a_codebook_beside_the_table_is_refused_and_an_empty_sheet_is_not(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", ("a",), (1,), Legend=[("a is",)])
    with pytest.raises(InputError, match=r"x.xlsx has several sheets with cells .Sheet, Legend."):
        read_excel(path)
    assert read_excel(workbook(path, ("a",), (1,), Empty=[])).rows() == [("1",)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no sheet with cells"),
        ([(None,), ("a",), (1,)], "the first row is empty"),
        ([("a", "a"), (1, 2)], "two columns 'a'"),
        ([("a", "b"), (1, 2, 3)], r"row 2: there are more cells than names of columns .2."),
        ([("a", "b"), (1, "=A2+1")], r"the formula in B2 has no result. Open and save the file in Excel"),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path: Path, rows: list[tuple[Any, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_excel(workbook(tmp_path / "x.xlsx", *rows))


def test_of_a_formula_the_result_counts(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", ("a", "b"), (1, "=A2+1"))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = (
        parts[sheet].replace(b"<v></v>", b"<v>2</v>").replace(b"<v/>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>")
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read_excel(path).rows() == [("1", "2")]


def test_merged_cells_are_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("id", "centre"), (1, "A"), (2, None)):
        book.active.append(row)
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(InputError, match=r"the cells B2:B3 are merged"):
        read_excel(tmp_path / "x.xlsx")


@pytest.mark.parametrize("content", [b"", b"sample_id,label\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0" * 200])
def test_files_that_are_no_workbooks_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "samples.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=r"samples.xlsx is no workbook of Excel, damaged, or protected by a password"):
        FilesDataSet(tmp_path / "samples.xlsx").inputs()


def test_a_workbook_that_claims_to_be_too_large_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnifuse.pipeline.tables.excel.MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"unpacks to 0.0 GiB; save a table of this size as CSV"):
        read_excel(workbook(tmp_path / "x.xlsx", ("a",), (1,)))
