"""Every row of a delimited file comes out as it was written, or the file is refused with its line."""

import csv
import gzip
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.cache_schema.export import guarded
from omnifuse.pipeline.tables import delimited, delimited_blocks
from omnifuse.pipeline.tables.delimited import LINE, Delimited

QUICK = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BLOCKS = st.sampled_from([8, 40, 200, 1 << 22])
"""Sizes of blocks: rows that end inside, at, and behind the end of one."""


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def rows(path: Path, **options: Any) -> list[tuple[str | None, ...]]:
    return Delimited.open(path, **options).read().drop(LINE).rows()


def lines(path: Path) -> list[int]:
    return Delimited.open(path).read()[LINE].to_list()


@st.composite
def tables(draw: st.DrawFn, characters: str) -> list[list[str]]:
    """Draw a header and rows of as many cells, of which the first says something: no line is blank."""
    fields = draw(st.integers(2, 4))
    cell = st.text(characters, max_size=6)
    row = st.tuples(st.text("ab1", min_size=1, max_size=3), *[cell] * (fields - 1)).map(list)
    return [[f"c{n}" for n in range(fields)], *draw(st.lists(row, max_size=12))]


def as_read(table: list[list[str]]) -> list[tuple[str | None, ...]]:
    return [tuple(cell or None for cell in row) for row in table[1:]]


def text_of(table: list[list[str]], **dialect: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(table)
    return text.getvalue()


@QUICK
@given(
    table=tables('ab1,;\t|" é.<'),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.booleans(),
    packed=st.booleans(),
    block=BLOCKS,
)
def test_what_was_written_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: list[list[str]],
    separator: str,
    end: str,
    quoting: int,
    mark: bool,
    packed: bool,
    block: int,
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    text = text_of(table, delimiter=separator, lineterminator=end, quoting=quoting)
    content = text.encode("utf-8-sig" if mark else "utf-8")
    path = written(tmp_path, gzip.compress(content) if packed else content)
    assert [tuple(cell or None for cell in row) for row in rows(path)] == as_read(table)
    assert lines(path) == list(range(2, len(table) + 1))


@QUICK
@given(table=tables('ab1,\n\r" .'), separator=st.sampled_from(",;"), block=BLOCKS)
def test_line_breaks_in_cells_are_read_or_refused_as_rows_between_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], separator: str, block: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    path = written(tmp_path, text_of(table, delimiter=separator))
    try:
        found = rows(path)
    except InputError as refusal:
        assert "each of them is a whole row" in str(refusal)
        return
    assert [tuple(cell or None for cell in row) for row in found] == as_read(table)


@QUICK
@given(table=tables('ab1," .'), block=BLOCKS)
def test_quotes_behind_backslashes_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], block: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    text = text_of(table, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")
    try:
        found = rows(written(tmp_path, text))
    except InputError as refusal:
        assert "line" in str(refusal)
        return
    assert [tuple(cell or None for cell in row) for row in found] == as_read(table)


def test_quotes_behind_backslashes_that_may_mean_either_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 3: the quotation marks behind backslashes can be read in two ways"):
        rows(written(tmp_path, 'a,b,c\n1,2,3\n"4","\\"",",5"\n'))


def test_a_backslash_at_the_end_of_a_cell_is_a_backslash(tmp_path: Path) -> None:
    assert rows(written(tmp_path, 'a,b\n"C:\\dir\\","x"\n1,2\n')) == [("C:\\dir\\", "x"), ("1", "2")]


@QUICK
@given(table=tables("ab1 ."), data=st.data(), block=BLOCKS)
def test_a_damaged_file_without_quotes_gives_the_rows_of_all_its_lines_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], data: st.DataObject, block: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    head, _, body = text_of(table, lineterminator="\n").partition("\n")
    body = damaged(body, data, ",\n\r")
    try:
        found = rows(written(tmp_path, f"{head}\n{body}"), separator=",")
    except InputError as refusal:
        assert "line" in str(refusal)
        return
    said = [line.split(",") for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]
    fields = len(table[0])
    assert found == [tuple(cell or None for cell in row[:fields]) for row in said]
    assert not any("".join(row[fields:]).strip() for row in said)


@QUICK
@given(table=tables('ab1,\n" .'), data=st.data(), block=BLOCKS)
def test_no_letter_of_a_damaged_file_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], data: st.DataObject, block: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    head, _, body = text_of(table, lineterminator="\n").partition("\n")
    body = damaged(body, data, ',\n\r"\\')
    try:
        found = rows(written(tmp_path, f"{head}\n{body}"), separator=",")
    except InputError as refusal:
        assert "line" in str(refusal)
        return
    cells = "".join(cell or "" for row in found for cell in row)
    assert {letter: cells.count(letter) for letter in "ab1."} == {letter: body.count(letter) for letter in "ab1."}


def damaged(body: str, data: st.DataObject, characters: str) -> str:
    """Put some characters where they do not belong, and take a piece away."""
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.sampled_from(characters)) + body[at + data.draw(st.integers(0, 2)) :]
    return body


@QUICK
@given(table=tables('ab1,;" .'), cells=st.lists(st.integers(0, 300), min_size=1, max_size=30), block=BLOCKS)
def test_numbers_are_numbers_whichever_way_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: list[list[str]], cells: list[int], block: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    content = "n,x\n" + "".join(f"{cell},{'a' if cell % 2 else ' '}\n" for cell in cells)
    file = Delimited.open(written(tmp_path, content))
    batches = list(file.batches({"number": "n"}, {"number": pl.Int64}, pl.col("number") > 100))
    found = [cell for batch in batches for cell in batch["number"].to_list()]
    assert found == [cell for cell in cells if cell > 100]


def test_a_batch_with_a_cell_of_another_type_comes_whole_as_text(tmp_path: Path) -> None:
    file = Delimited.open(written(tmp_path, "n,x\n1,a\n2.0,b\n"))
    (batch,) = file.batches({"n": "n"}, {"n": pl.Int64}, pl.col("n") > 1)
    assert batch.rows() == [(2, "1"), (3, "2.0")]


def test_a_stray_quote_inside_a_field_is_a_character(tmp_path: Path) -> None:
    path = written(tmp_path, 'id,value,comment\n1,60,5" tube\n2,61,ok\n3,62,6" tube\n')
    assert rows(path) == [("1", "60", '5" tube'), ("2", "61", "ok"), ("3", "62", '6" tube')]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,c\n1,2,3\n4,5\n", r"t.csv, line 3 has 2 fields, the header 3"),
        ("a,b,c\n1,2,3\nroom 7, 2,3,4\n", r"t.csv, line 3 has 4 fields, the header 3"),
        ("a,b\n1,2,3\n2,3,4\n", r"line 2 has 3 fields, the header 2.*row\.names = FALSE"),
        ('a,b,c\n1,"5 x,3\n4,5,6\n6,y",8\n', r"lines 2 to 4: a quotation mark opens"),
        ('a,b,c\n1,"5 x,3\n4,5,6\n', r"line 2: a quotation mark opens here and is never closed"),
        ('a,b\n1,"x"y\n', r"line 2: text follows a closing quotation mark"),
        ("a,b,a\n1,2,3\n", r"two columns 'a'"),
        (",b,\n1,2,3\n", r"line 2 has 3 fields, the header 2"),
        ("a,,b,\n,,1,2\n", r"line 2 has 4 fields, the header 3"),
        ("a,,,b\n1,2,3,4\n", r"two columns without a name"),
        ("", r"t.csv is empty"),
        ("\n\n", r"t.csv is empty"),
        (b"a,b\n1,\xe9\n", r"line 2: the byte 0xe9 is no UTF-8"),
        (b"a,b\n1,x\n2,\0\n", r"line 3 holds a zero byte"),
        ("a\tb\n1\t2\n".encode("utf-16"), r"UTF-16"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rows(written(tmp_path, content))


@pytest.mark.parametrize("content", ["a,b\n1,2,\n3,4, \n", "a,b,\n1,2,\n3,4,\n", "a,b,,\n1,2,,\n3,4\n"])
def test_a_delimiter_at_the_end_of_lines_is_no_field(tmp_path: Path, content: str) -> None:
    assert rows(written(tmp_path, content)) == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize("rest", ["P2,aspirin, high dose,2,\nP3,none,3,4\n", "P3,none,3,4\nP2,aspirin, high dose,2,\n"])
def test_a_shifted_row_whose_last_field_is_empty_has_no_delimiter_at_its_end(tmp_path: Path, rest: str) -> None:
    with pytest.raises(InputError, match="has 5 fields, the header 4"):
        rows(written(tmp_path, "id,drug,a,b\n" + rest))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('id,s,a\nP1,f,1\n"P2,f,2\nP3,m,3\nP4",m,4\n', "lines 3 to 5.*each of them is a whole row"),
        ('id,s\nP1,f\nP2,"f\nP3,m\nP14,m"\nP5,f\n', "lines 3 to 5.*each of them is a whole row"),
        ('id,"a\n1,2\n3,4"\n5,6\n', "opens in the header and closes on line 3"),
        ('id,a,"b\n1,2,3\n3,4,5\n', "the header cannot be read"),
    ],
)
def test_rows_between_stray_quotes_are_refused_wherever_these_stand(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rows(written(tmp_path, content))


@pytest.mark.parametrize("content", ['id,s\n1,"pain, at rest\nnausea, no fever"\n', '"id","age\n(y)"\n1,"a\nb, c"\n'])
def test_texts_with_line_breaks_and_commas_are_texts(tmp_path: Path, content: str) -> None:
    assert len(rows(written(tmp_path, content))) == 1


@pytest.mark.parametrize("size", [8, 1 << 22])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_a_header_between_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str, end: str, size: int
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", size)
    with pytest.raises(InputError, match=r"line 4 is the header again"):
        rows(written(tmp_path, f"id,a\n1,2\nxid,a\n{begin}id,a\n3,4\n".replace("\n", end)))


def test_a_header_of_numbers_may_be_a_row_as_well(tmp_path: Path) -> None:
    assert rows(written(tmp_path, "0,1\n0,1\n")) == [("0", "1")]


def test_excel_may_say_what_separates_fields(tmp_path: Path) -> None:
    path = written(tmp_path, "sep=|\na|b\n1|2,5\n")
    assert (rows(path), lines(path)) == ([("1", "2,5")], [3])


def test_semicolons_and_decimal_commas_need_not_be_announced(tmp_path: Path) -> None:
    assert rows(written(tmp_path, "id;x;y\n1;60,5;1,5\n2;61,5;2,5\n")) == [("1", "60,5", "1,5"), ("2", "61,5", "2,5")]


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    path = written(tmp_path, '\na,"b\nc"\n1,"two\nlines"\n\n2,x\r\n3,y')
    assert lines(path) == [4, 7, 8]


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    assert rows(written(tmp_path, f'a,b\n1,"{"x" * 300_000}\n"\n')) == [("1", "x" * 300_000 + "\n")]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited_blocks, "LONGEST_LINE", 1 << 20)
    path = written(tmp_path, gzip.compress(b"a,b\n" + b"0" * (1 << 23)), "t.csv.gz")
    with pytest.raises(InputError, match=r"t.csv.gz: line 2 is longer than 1 MiB"):
        rows(path)


def test_a_table_that_unpacks_to_far_more_than_its_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "ALWAYS_READ", 1 << 20)
    path = written(tmp_path, gzip.compress(b"a,b\n" + b"0,0\n" * (1 << 23)), "t.csv.gz")
    with pytest.raises(InputError, match=r"t.csv.gz: the table claims .*, but the file has"):
        Delimited.open(path).read()


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_a_packed_file_that_is_cut_is_refused(tmp_path: Path, keep: float) -> None:
    whole = gzip.compress(("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(9999))).encode())
    with pytest.raises(InputError, match=r"cut or damaged; get it again"):
        rows(written(tmp_path, whole[: int(len(whole) * keep)]))


def test_only_the_first_rows_are_read_if_no_more_are_wanted(tmp_path: Path) -> None:
    file = Delimited.open(written(tmp_path, "a,b\n1,2\n3,4\n"))
    assert [file.read(rows=number).height for number in (0, 1, 5)] == [0, 1, 2]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no file .*t\.csv"):
        Delimited.open(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "name", ["a[1].csv", "a*.csv", "a?.csv", "{a,b}.csv", "a b.csv", "a'\"\n.csv", "ä.csv", "%41.csv"]
)
def test_no_name_of_a_file_is_a_pattern(tmp_path: Path, name: str) -> None:
    for other in ("a1.csv", "aa.csv", "a.csv", "b.csv", "A.csv"):
        written(tmp_path, "x,y\nwrong,1\n", other)
    assert rows(written(tmp_path, "x,y\nright,1\n", name)) == [("right", "1")]


def test_lines_rise(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n" + "".join(f'{n},"x{chr(10) * (n % 3)}"\n' for n in range(50)))
    found = lines(path)
    assert all(after - before == 1 + number % 3 for number, (before, after) in enumerate(pairwise(found)))
