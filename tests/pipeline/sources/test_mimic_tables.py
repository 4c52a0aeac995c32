"""Tables are found in every format, and a damaged one is never silently shorter."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources.mimic.tables import Table, read_table, unique_rows

HEADER = "SUBJECT_ID,ICUSTAY_ID,VALUE,LAST\n"


def rows(path: Path, quarantine: Quarantine | None = None) -> list[tuple[object, ...]]:
    """Return subject_id, stay_id, value of all rows."""
    batches = Table.open(path).batches(["subject_id", "stay_id"], ["value"], quarantine or Quarantine())
    return [row for batch in batches for row in batch.drop("row").rows()]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.csv.gz", "T.CSV.GZ", "t.parquet"])
def test_formats(tmp_path: Path, name: str) -> None:
    content = HEADER + '1,100,"a, b",x\n2,,,\n3,300,"two\nlines",\n'
    path = tmp_path / name
    if name.lower().endswith(".parquet"):
        pl.read_csv(content.encode()).write_parquet(path)
    else:
        written(path, gzip.compress(content.encode()) if name.lower().endswith(".gz") else content)
    assert rows(path) == [(1, 100, "a, b"), (2, None, None), (3, 300, "two\nlines")]


@pytest.mark.parametrize("header", ["subject_id,icustay_id,value,last", '"SUBJECT_ID","STAY_ID","VALUE","LAST"'])
def test_headers_in_either_case_and_version(tmp_path: Path, header: str) -> None:
    assert rows(written(tmp_path / "t.csv", header + "\n1,2,x,\n")) == [(1, 2, "x")]


def test_line_ends_and_byte_order_mark_of_windows(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + (HEADER + "1,2,x,y\n3,4,z,\n").replace("\n", "\r\n").encode()
    assert rows(written(tmp_path / "t.csv", content)) == [(1, 2, "x"), (3, 4, "z")]


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_half_a_gzip_is_an_error(tmp_path: Path, keep: float) -> None:
    whole = gzip.compress((HEADER + "".join(f"{i},{i},text {i * i},\n" for i in range(20_000))).encode())
    path = written(tmp_path / "t.csv.gz", whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"t.csv.gz cannot be read.*get it again"):
        rows(path)


def test_a_flipped_byte_in_a_gzip_is_an_error(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress((HEADER + "".join(f"{i},{i},text {i * i},\n" for i in range(20_000))).encode()))
    whole[-6] ^= 1
    with pytest.raises(InputError, match=r"t.csv.gz cannot be read.*[Cc]hecksum|CRC"):
        rows(written(tmp_path / "t.csv.gz", bytes(whole)))


@pytest.mark.parametrize("last", ["3,300", "3,300,x", "3"])
def test_a_last_line_that_is_cut_is_an_error(tmp_path: Path, last: str) -> None:
    path = written(tmp_path / "t.csv", HEADER + "1,100,a,b\n" + last)
    with pytest.raises(InputError, match=r"t.csv ends in the middle of a line \(byte \d+\).*of 4 fields"):
        rows(path)


def test_a_quote_that_is_cut_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t.csv, line 3: a quotation mark opens here and is never closed"):
        rows(written(tmp_path / "t.csv", HEADER + '1,100,a,b\n3,300,"x'))


def test_a_quoted_line_break_in_the_last_line_is_no_cut(tmp_path: Path) -> None:
    assert rows(written(tmp_path / "t.csv", HEADER + '1,100,"two\nlines",\n')) == [(1, 100, "two\nlines")]


def test_half_a_parquet_is_an_error(tmp_path: Path) -> None:
    pl.DataFrame({"subject_id": range(1000), "stay_id": range(1000), "value": ["x"] * 1000}).write_parquet(
        tmp_path / "t.parquet"
    )
    content = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(InputError, match=r"t.parquet cannot be read"):
        rows(written(tmp_path / "t.parquet", content[: len(content) // 2]))


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t.csv is empty"):
        rows(written(tmp_path / "t.csv", ""))


def test_a_missing_column_names_file_and_column(tmp_path: Path) -> None:
    table = Table.open(written(tmp_path / "t.csv", HEADER + "1,100,a,b\n"))
    with pytest.raises(MissingInputError, match=r"t.csv has no column charttime; it has SUBJECT_ID, ICUSTAY_ID"):
        table.require(["value", "charttime"])


def test_ids_that_are_no_integers_are_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
    quarantine = Quarantine()
    content = HEADER + "1,100,a,\n" * 3 + "x7,100,b,\n2.0,100,c,\n3,1.5,d,\n4,,e,\n"
    kept = rows(written(tmp_path / "t.csv", content), quarantine)
    assert kept == [(1, 100, "a")] * 3 + [(2, 100, "c"), (4, None, "e")]
    assert quarantine.frame().drop("stage").rows() == [
        ("t.csv", "row 5", "x7", "subject_id is no integer"),
        ("t.csv", "row 7", "1.5", "stay_id is no integer"),
    ]


def test_text_that_is_not_utf8_does_not_stop_the_table(tmp_path: Path) -> None:
    kept = rows(written(tmp_path / "t.csv", HEADER.encode() + b"1,100,37\xb0,\n2,100,b,\n"))
    assert [row[0] for row in kept] == [1, 2]


def test_rows_without_a_needed_id_and_repeated_rows_are_quarantined(tmp_path: Path) -> None:
    quarantine = Quarantine()
    table = Table.open(written(tmp_path / "t.csv", HEADER + "1,100,a,\n,100,b,\n1,100,c,\n"))
    frame = read_table(table, ["subject_id", "stay_id"], ["value"], quarantine, ["subject_id"])
    assert unique_rows(frame, ["stay_id"], table, quarantine)["value"].to_list() == ["a"]
    assert quarantine.frame().drop("stage").rows() == [
        ("t.csv", "row 3", "", "subject_id empty"),
        ("t.csv", "row 4", "100", "stay_id is repeated"),
    ]


def test_rows_are_named_by_their_line_although_others_were_left_out_before(tmp_path: Path) -> None:
    quarantine = Quarantine()
    table = Table.open(written(tmp_path / "t.csv", HEADER + "x,100,a,\n,100,b,\n"))
    read_table(table, ["subject_id", "stay_id"], ["value"], quarantine, ["subject_id"])
    assert quarantine.frame().drop("stage").rows() == [
        ("t.csv", "row 2", "x", "subject_id is no integer"),
        ("t.csv", "row 3", "", "subject_id empty"),
    ]


@pytest.mark.parametrize("damaged", ["", "x,9,d,\n"])
def test_only_rows_that_are_to_be_kept_are_yielded(tmp_path: Path, damaged: str) -> None:
    table = Table.open(written(tmp_path / "t.csv", HEADER + "1,9,a,\n,9,b,\n" + damaged + "3,9,c,\n"))
    kept = pl.concat(table.batches(["subject_id"], ["value"], Quarantine(), pl.col("subject_id") > 1))
    assert kept.select("subject_id", "value").rows() == [(3, "c")]
    assert kept["row"].to_list() == [5 if damaged else 4]


@pytest.mark.parametrize("damaged", ["", "x,9,d,\n", "2.0,9,d,\n"])
def test_a_batch_of_which_nothing_is_kept_is_not_yielded(tmp_path: Path, damaged: str) -> None:
    table = Table.open(written(tmp_path / "t.csv", HEADER + "1,9,a,\n" + damaged))
    assert list(table.batches(["subject_id"], ["value"], Quarantine(), pl.col("subject_id") > 2)) == []


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_how_many_rows_there_are_is_known_about_before_they_are_read(tmp_path: Path, name: str) -> None:
    number = 300_000
    frame = pl.DataFrame({"SUBJECT_ID": np.arange(number), "VALUE": np.random.default_rng(0).random(number)})
    if name.endswith(".parquet"):
        frame.write_parquet(tmp_path / name)
    else:
        content = frame.write_csv().encode()
        written(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert Table.open(tmp_path / name).expected_rows() == pytest.approx(number, rel=0.05)


def test_a_damaged_beginning_does_not_tell_the_number_of_rows(tmp_path: Path) -> None:
    content = bytearray(gzip.compress((HEADER + "1,9,a,\n" * 1000).encode()))
    table = Table.open(written(tmp_path / "t.csv.gz", bytes(content)))
    content[10:20] = b"0123456789"
    written(tmp_path / "t.csv.gz", bytes(content))
    assert table.expected_rows() is None


class TestRealIdsOfParquet:
    """Pandas keeps whole numbers as real ones where some are missing."""

    def table(self, path: Path, ids: list[float | None], kind: pl.DataType | type[pl.DataType]) -> Path:
        columns = {"subject_id": pl.Series(ids, dtype=kind), "stay_id": [1] * len(ids), "value": ["x"] * len(ids)}
        pl.DataFrame(columns).write_parquet(path)
        return path

    def test_whole_numbers_are_ids_and_others_are_counted(self, tmp_path: Path) -> None:
        quarantine = Quarantine()
        path = self.table(tmp_path / "t.parquet", [10000032.0, 12.7, None], pl.Float64)
        assert rows(path, quarantine) == [(10000032, 1, "x"), (None, 1, "x")]
        assert quarantine.frame().select("where", "value", "reason").rows() == [
            ("row 3", "12.7", "subject_id is no integer")
        ]

    def test_of_32_bits_they_are_refused_because_several_are_one(self, tmp_path: Path) -> None:
        path = self.table(tmp_path / "t.parquet", [19999987.0, 19999988.0], pl.Float32)
        with pytest.raises(InputError, match=r"t.parquet: subject_id is a real number of 32 bits"):
            rows(path)
