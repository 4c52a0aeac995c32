"""What the cells of a user's tables mean: what is missing, which are the same, and what joins."""

import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources.files.data_set import FilesDataSet
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet
from omnifuse.pipeline.tables.feature_files import as_text
from omnifuse.pipeline.tables.ids import as_ids
from omnifuse.pipeline.tables.labels import as_classes
from omnifuse.pipeline.tables.missing import MISSING
from omnifuse.pipeline.tables.sample_table import SampleColumns


def files(folder: Path, samples: str, mapping: str = "", events: str = "", **columns: object) -> FilesDataSet:
    (folder / "samples.csv").write_text(samples)
    (folder / "columns.yaml").write_text(mapping)
    (folder / "events.csv").write_text(events)
    return FilesDataSet(
        folder / "samples.csv",
        folder / "columns.yaml" if mapping else None,
        SampleColumns(**columns),  # type: ignore[arg-type]
        events={"v": folder / "events.csv"} if events else {},
    )


def read(dataset: FilesDataSet | ImportedDataSet) -> tuple[Records, Quarantine]:
    quarantine = Quarantine()
    dataset.inputs()
    return dataset.read(quarantine), quarantine


def values(records: Records, quarantine: Quarantine, name: str) -> dict[object, list[float]]:
    """Return the row of each sample in a modality of one row a sample."""
    (table,) = (table for table in records.tables if table.name == name)
    blocks = list(table.blocks(quarantine))
    ids = [sample for block in blocks for sample in block.sample_ids.tolist()]
    return dict(zip(ids, [row for block in blocks for row in block.values.tolist()], strict=True))


def rows(quarantine: Quarantine) -> list[tuple[str, str, str]]:
    return quarantine.frame().select("where", "value", "reason").rows()


def imported(folder: Path, samples: str, features: str) -> ImportedDataSet:
    (folder / "samples.csv").write_text(samples)
    (folder / "rna.csv").write_text(features)
    return ImportedDataSet(folder / "samples.csv", {"rna": folder / "rna.csv"})


class TestMissing:
    @pytest.mark.parametrize("word", MISSING)
    def test_a_word_for_missing_is_missing_wherever_it_stands(self, tmp_path: Path, word: str) -> None:
        cell = f" {word} "
        samples = (
            "sample_id,subject_id,label,part,age,text:note,num:x,cat:sex\n"
            f"a,1,0,train,60,clear,1,F\nb,2,{cell},{cell},{cell},{cell},{cell},{cell}\n{cell},3,1,test,50,full,3,M\n"
        )
        records, quarantine = read(files(tmp_path, samples, split="part", keep=("age",)))
        assert records.samples["sample_id"].to_list() == ["a", "b"]
        assert records.samples["age"].to_list() == [60.0, None]
        (task,) = records.tasks({})
        np.testing.assert_array_equal(task.y[:, 0], [0, np.nan])
        assert records.splits["part"].rows() == [("a", "train")]
        assert records.items[0].items["sample_id"].to_list() == ["a"]
        assert values(records, quarantine, "num") == {"a": [1.0]}
        assert values(records, quarantine, "cat") == {"a": [1.0]}
        assert rows(quarantine) == [("row 4", "", "sample_id is empty")]

    def test_a_patient_that_is_missing_is_refused_with_all_its_rows(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="rows 2, 4: sample a has no subject_id"):
            read(files(tmp_path, "sample_id,subject_id,num:x\na,NA,1\nb,7,1\nc,<NA>,1\n"))

    def test_the_page_on_data_sets_lists_every_word(self) -> None:
        page = (Path(__file__).parents[3] / "docs" / "data-sets.md").read_text(encoding="utf-8")
        assert [word for word in MISSING if word and f"`{word}`" not in page] == []

    def test_sodium_none_and_a_name_are_not_missing(self) -> None:
        assert as_text(pl.Series(["Na", "none", "Null", "NA.", "0"])).to_list() == ["Na", "none", "Null", "NA.", "0"]

    def test_an_event_without_a_variable_is_counted_and_its_word_shown(self, tmp_path: Path) -> None:
        events = "sample_id,time,variable,value\na,1,HR,80\na,2,NA,7\na,2,Na,140\na,3,HR,.\n"
        records, quarantine = read(files(tmp_path, "sample_id,subject_id\na,1\n", events=events))
        assert [column.name for column in records.tables[0].columns] == ["HR", "Na", "mask->HR", "mask->Na"]
        list(records.tables[0].blocks(quarantine))
        assert rows(quarantine) == [("row 3", "NA", "no variable")]


class TestOneSpelling:
    def test_whole_numbers_are_the_same_ids_however_they_are_written(self) -> None:
        assert as_ids(pl.Series(["1", "2.0", "3.00", None])).to_list() == ["1", "2", "3", None]
        assert as_ids(pl.Series([1.0, 2.0, float("nan")])).to_list() == ["1", "2", None]
        assert as_ids(pl.Series([1.0, 2.5])).to_list() == ["1.0", "2.5"]
        assert as_ids(pl.Series(["1.0", "x"])).to_list() == ["1.0", "x"]
        assert as_ids(pl.Series(["007", "8"])).to_list() == ["007", "8"]

    def test_numbers_are_the_same_class_however_they_are_written_and_codes_are_not(self) -> None:
        assert as_classes(pl.Series(["1", "1.0", "1.50", "1.5", "NA"])).to_list() == ["1", "1", "1.5", "1.5", None]
        assert as_classes(pl.Series(["1", "1.0", "low"])).to_list() == ["1", "1.0", "low"]
        assert as_classes(pl.Series(["10", "010"])).to_list() == ["10", "010"]

    @settings(deadline=None)
    @given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
    def test_ids_are_the_same_as_whole_as_real_numbers_and_as_text(self, numbers: list[int]) -> None:
        expected = list(map(str, numbers))
        assert as_ids(pl.Series(numbers, dtype=pl.Int64)).to_list() == expected
        assert as_ids(pl.Series(list(map(float, numbers)), dtype=pl.Float64)).to_list() == expected
        assert as_ids(pl.Series([f"{number}.0" for number in numbers])).to_list() == expected

    def test_events_and_features_join_ids_that_are_written_as_real_numbers(self, tmp_path: Path) -> None:
        events = "sample_id,time,variable,value\n1.0,1,HR,80\nx,1,HR,9\n"
        records, quarantine = read(files(tmp_path, "sample_id,subject_id\n1,1\n2,2\n", events=events))
        assert values(records, quarantine, "v") == {1: [80.0, 1.0]}
        records, quarantine = read(imported(tmp_path, "sample_id\n1\n2\n", "sample_id,g\n2.0,5\n1.0,4\nx,1\n"))
        assert values(records, quarantine, "rna") == {1: [4.0], 2: [5.0]}

    def test_an_id_is_repeated_if_it_is_written_in_two_ways(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, "sample_id,subject_id,num:x\n1,1,5\n1.0,1,6\n"))
        assert records.samples["sample_id"].to_list() == [1]
        assert rows(quarantine) == [("row 3", "1", "sample_id is repeated")]


class TestRowNumbers:
    @pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__", "...1", "row.names"])
    def test_row_numbers_are_no_feature_and_that_is_said(self, tmp_path: Path, name: str) -> None:
        records, quarantine = read(imported(tmp_path, "sample_id\na\nb\n", f'"{name}",sample_id,g\n1,a,5\n2,b,6\n'))
        assert [column.name for column in records.tables[0].columns] == ["g"]
        assert values(records, quarantine, "rna") == {"a": [5.0], "b": [6.0]}
        assert rows(quarantine) == [(f"column {name!r}", "", "a column of row numbers or names, no feature")]

    def test_of_a_table_of_contents_they_are_left_out_as_well(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, "Unnamed: 0,sample_id,subject_id,num:x\n0,a,1,5\n"))
        assert [table.name for table in records.tables] == ["num"]
        assert rows(quarantine)[0][0] == "column 'Unnamed: 0'"

    def test_the_second_column_of_a_name_is_refused(self, tmp_path: Path) -> None:
        pl.DataFrame({"sample_id": ["a"], "g": [1], "g_duplicated_0": [2]}).write_parquet(tmp_path / "rna.parquet")
        (tmp_path / "samples.csv").write_text("sample_id\na\n")
        with pytest.raises(InputError, match=r"rna.parquet has two columns 'g', one of them renamed"):
            read(ImportedDataSet(tmp_path / "samples.csv", {"rna": tmp_path / "rna.parquet"}))


class TestNothingJoins:
    @pytest.mark.parametrize(
        ("samples", "features", "cause"),
        [
            ("TCGA-A1", "TCGA.A1", "as R changes names"),
            ("p01", "P01", "upper and lower case"),
            ("p 01", "p01", "blanks"),
            ("007", "7", "lost the zeros in front"),
            ("12", "X12", "has an X in front"),
            ("TCGA-A1", "TCGA-A1-01", "those of one side are longer"),
            ("a", "z", "Are both tables of the same samples"),
        ],
    )
    def test_it_is_refused_with_an_id_of_each_side_and_the_cause(
        self, tmp_path: Path, samples: str, features: str, cause: str
    ) -> None:
        records, quarantine = read(imported(tmp_path, f"sample_id\n{samples}\n", f"sample_id,g\n{features},1\n"))
        with pytest.raises(InputError) as refusal:
            list(records.tables[0].blocks(quarantine))
        assert all(part in str(refusal.value) for part in ("rna.csv", repr(samples), repr(features), cause))

    def test_of_events_too_but_not_because_of_a_limit(self, tmp_path: Path) -> None:
        table, events = "sample_id,subject_id\na,1\nb,2\n", "sample_id,time,variable,value\nB,1,HR,80\n"
        records, quarantine = read(files(tmp_path, table, events=events))
        with pytest.raises(InputError, match=r"events.csv: none of its ids.*'B'.*'a'.*upper and lower case"):
            list(records.tables[0].blocks(quarantine))
        dataset = files(tmp_path, table, events=events.replace("B", "b"))
        dataset.limit = 1
        records, quarantine = read(dataset)
        assert list(records.tables[0].blocks(quarantine)) == []

    def test_dates_of_another_format_are_shown(self, tmp_path: Path) -> None:
        events = "sample_id,time,variable,value\na,2020-01-01 10:00,HR,80\n"
        with pytest.raises(InputError, match=r"no t0 is a date and time that can be read .row 2: '1/10/2020 12:00'"):
            read(files(tmp_path, "sample_id,subject_id,t0\na,1,1/10/2020 12:00\n", events=events))


class TestNumbers:
    def number(self, folder: Path, *cells: str) -> tuple[list[float], list[tuple[str, str, str]]]:
        table = "sample_id\tsubject_id\tnum:x\n" + "".join(f"{at}\t{at}\t{cell}\n" for at, cell in enumerate(cells))
        (folder / "samples.tsv").write_text(table)
        records, quarantine = read(FilesDataSet(folder / "samples.tsv"))
        found = values(records, quarantine, "num")
        return [found.get(at, [float("nan")])[0] for at in range(len(cells))], rows(quarantine)

    def test_decimal_commas_of_a_whole_column_are_read_and_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            assert self.number(tmp_path, "60,5", "61", "1,234") == ([60.5, 61.0, np.float32(1.234)], [])
        assert "samples.tsv: decimal commas are read as points: num:x." in caplog.text

    def test_a_comma_among_points_is_no_number_and_named_with_its_column(self, tmp_path: Path) -> None:
        found, said = self.number(tmp_path, "33,9", "36.1", "36.5", "<5")
        np.testing.assert_array_equal(found, np.float32([np.nan, 36.1, 36.5, np.nan]))
        assert said == [("row 2, num:x", "33,9", "no finite number"), ("row 5, num:x", "<5", "no finite number")]

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (("1,234", "5"), r"a comma can be a decimal one or stand between thousands .row 2: '1,234'"),
            (("5.5", "33,9", "36,1"), r"numbers with a comma .row 3: '33,9'.* and others with a point"),
            (("<5", "low"), r"holds no number .row 2: '<5'.*call it cat:NAME"),
        ],
    )
    def test_what_can_be_read_in_two_ways_is_refused(self, tmp_path: Path, cells: list[str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.number(tmp_path, *cells)

    def test_marks_between_thousands_are_named_and_not_guessed(self, tmp_path: Path) -> None:
        found, said = self.number(tmp_path, "1.234,5", "2,5")
        np.testing.assert_array_equal(found, [np.nan, 2.5])
        assert said == [("row 2, num:x", "1.234,5", "no finite number")]

    def test_a_number_that_float32_cannot_hold_is_left_out(self, tmp_path: Path) -> None:
        assert self.number(tmp_path, "1", "1e39")[1] == [("row 3, num:x", "1e39", "no finite number")]
        events = "sample_id,time,variable,value\na,1,HR,80\na,2,HR,1e39\na,3,HR,<5\n"
        records, quarantine = read(files(tmp_path, "sample_id,subject_id\na,1\n", events=events))
        (block,) = records.tables[0].blocks(quarantine)
        assert block.values.tolist() == [[80.0, 1.0]]
        assert quarantine.counts()["count"].to_list() == [2]
        assert rows(quarantine) == [("row 3, HR", "1e39", "no finite number")]

    def test_decimal_commas_of_events_are_those_of_the_whole_table(self, tmp_path: Path) -> None:
        events = 'sample_id,time,variable,value\na,"1,5",T,"36,5"\na,2,T,37\n'
        records, quarantine = read(files(tmp_path, "sample_id,subject_id\na,1\n", events=events))
        (block,) = records.tables[0].blocks(quarantine)
        assert block.values.tolist() == [[37.0, 1.0]]
        assert quarantine.total == 0

    def test_no_word_of_a_cell_that_should_be_a_number_is_stored(self, tmp_path: Path) -> None:
        assert self.number(tmp_path, "1", "Erika Musterfrau, born 1950")[1] == [
            ("row 3, num:x", "", "no finite number")
        ]


class TestCategories:
    SAMPLES = "sample_id,subject_id,num.clinic:age,cat.clinic:sex,cat:grade\na,1,60,F,2\nb,2,,M,1.0\nc,3,50,NA,\n"

    def test_each_level_of_the_table_is_a_column_of_0_and_1(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, self.SAMPLES))
        clinic, grade = records.tables
        assert [(column.name, column.variable, column.role) for column in clinic.columns] == [
            ("age", "age", "value"),
            ("sex->F", "sex", "onehot"),
            ("sex->M", "sex", "onehot"),
        ]
        assert [column.name for column in grade.columns] == ["grade->1", "grade->2"]
        found = values(records, quarantine, "clinic")
        np.testing.assert_array_equal(
            [found[name] for name in "abc"], [[60, 1, 0], [np.nan, 0, 1], [50, np.nan, np.nan]]
        )
        assert values(records, quarantine, "cat") == {"a": [0.0, 1.0], "b": [1.0, 0.0]}

    def test_levels_can_be_named_and_others_are_said(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, self.SAMPLES, mapping="levels:sex: [M, X]\n"))
        assert [column.name for column in records.tables[0].columns] == ["age", "sex->M", "sex->X"]
        found = values(records, quarantine, "clinic")
        np.testing.assert_array_equal(found["a"], [60, np.nan, np.nan])
        assert rows(quarantine) == [("row 2, cat.clinic:sex", "", "none of the levels of this category")]

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ("levels:age: [x]\n", r"levels:age: .*samples.csv has no column cat:age"),
            ("levels:sex: F\n", r"'levels:sex' needs a list of names"),
        ],
    )
    def test_levels_that_cannot_be_meant(self, tmp_path: Path, mapping: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read(files(tmp_path, self.SAMPLES, mapping=mapping))

    def test_a_column_of_too_many_levels_is_no_category(self, tmp_path: Path) -> None:
        cells = "".join(f"{at},{at},v{at}\n" for at in range(101))
        with pytest.raises(InputError, match="'cat:x' has 101 different values; expected 1 to 100 levels"):
            read(files(tmp_path, "sample_id,subject_id,cat:x\n" + cells))


class TestPatients:
    def test_that_nothing_is_known_of_patients_is_said_in_the_counts_and_aloud(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            (task,) = read(files(tmp_path, "sample_id,label,num:x\na,1,2\n"))[0].tasks({})
        assert task.counts[0] == (
            "samples of the table; no subject_id: every sample is taken for a patient of its own",
            1,
        )
        assert "samples.csv has no column subject_id" in caplog.text

    def test_all_rows_of_a_wrong_label_are_listed(self, tmp_path: Path) -> None:
        table = "sample_id,subject_id,label,num:x\na,1,0,1\nb,2,yes,1\nc,3,1,1\nd,4,?,1\n"
        with pytest.raises(InputError, match=r"rows 3, 5: label is 'yes', '.'; expected 0, 1 or nothing"):
            read(files(tmp_path, table, labels=("risk=label",)))


def test_a_cell_is_named_by_its_line_behind_line_breaks_in_the_cells_before_it(tmp_path: Path) -> None:
    text = "".join(f'{n},{n},{n % 2},"one\ntwo\nthree",{"x" if n == 3 else n}\n' for n in range(5))
    (tmp_path / "samples.csv").write_text("sample_id,subject_id,label,text:note,num:age\n" + text)
    quarantine = Quarantine()
    records = FilesDataSet(tmp_path / "samples.csv").read(quarantine)
    list(records.tables[0].blocks(quarantine))
    assert quarantine.frame()["where"].to_list() == ["row 13, num:age"]


class TestMarksBetweenThousands:
    @pytest.mark.parametrize("cells", [("1.234,5", "1.234"), ("1.234.567", "2.345"), ("-1.234.567,8", "1.234")])
    def test_a_point_that_may_be_one_is_refused(self, tmp_path: Path, cells: tuple[str, str]) -> None:
        dataset = files(tmp_path, f"sample_id;subject_id;num:x\na;1;{cells[0]}\nb;2;{cells[1]}\nc;3;5\n")
        records, quarantine = read(dataset)
        with pytest.raises(InputError, match=rf"'num:x' points may stand between thousands \(row 2: '{cells[0]}'\)"):
            values(records, quarantine, "num")

    def test_a_point_that_may_be_one_is_refused_in_events_of_the_same_variable(self, tmp_path: Path) -> None:
        samples = "sample_id,subject_id\na,1\nb,2\n"
        events = "sample_id;time;variable;value\na;1;PLT;1.234,5\nb;1;pH;7.401\n"
        records, quarantine = read(files(tmp_path, samples, events=events))
        list(records.tables[0].blocks(quarantine))
        assert rows(quarantine) == [("row 2, PLT", "1.234,5", "no finite number")]
        records, quarantine = read(files(tmp_path, samples, events=events + "b;1;PLT;1.401\n"))
        with pytest.raises(InputError, match=r"'value' points may stand between thousands \(row 2: '1.234,5'\)"):
            list(records.tables[0].blocks(quarantine))

    @pytest.mark.parametrize(
        ("cells", "refused"),
        [
            (["250.000", "1.250", "310.000", "980"], True),
            (["1.234", "2.345", "3.456", "4"], True),  # 4 as three decimals would be 4.000
            (["250.000", "1.250", "310.000", "980.000"], False),  # as many decimals everywhere
            (["37.125", "36.500", "36.5", "37"], False),  # as R writes: zeros at the end are dropped
            (["250.000", "1.250", "310.000", "1980"], False),  # a thousand without a mark
            (["0.125", "1.250", "310.000", "4.500", "7"], False),  # no thousands begin with a zero
            (["1.125", "2.375", "3"], False),  # too few to tell
        ],
    )
    def test_whole_numbers_below_a_thousand_beside_points_with_three_digits_are_refused(
        self, tmp_path: Path, cells: list[str], *, refused: bool
    ) -> None:
        table = "".join(f"s{n},{n},{cell}\n" for n, cell in enumerate(cells))
        events = "".join(f"s{n},1,PLT,{cell}\ns{n},1,pH,7.4\n" for n, cell in enumerate(cells))
        table, events = "sample_id,subject_id,num:x\n" + table, "sample_id,time,variable,value\n" + events
        for table_modality in read(files(tmp_path, table, events=events))[0].tables:
            if refused:
                with pytest.raises(InputError, match=rf"points may stand between thousands \(row 2: '{cells[0]}'\)"):
                    list(table_modality.blocks(Quarantine()))
            else:
                list(table_modality.blocks(Quarantine()))

    def test_without_such_a_point_they_are_listed(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, "sample_id;num:x\na;1.234.567\nb;2.5\n"))
        assert values(records, quarantine, "num") == {"b": [2.5]}
        assert rows(quarantine) == [("row 2, num:x", "1.234.567", "no finite number")]


@pytest.mark.parametrize("codes", [("007", "012"), ("9007199254740993", "1")])
def test_a_kept_column_of_codes_stays_as_it_is(tmp_path: Path, codes: tuple[str, str]) -> None:
    samples = f"sample_id,num:x,zip\na,1,{codes[0]}\nb,2,{codes[1]}\n"
    records, _ = read(files(tmp_path, samples, keep=("zip",)))
    assert tuple(records.samples["zip"]) == codes


def test_times_with_two_digits_for_the_year_cannot_be_read(tmp_path: Path) -> None:
    samples = "sample_id,t0\na,2020-03-01\nb,01-03-20\n"
    events = "sample_id,time,variable,value\na,2020-03-01 01:00,HR,60\na,02-03-20,HR,61\nb,02-03-20,HR,62\n"
    records, quarantine = read(files(tmp_path, samples, events=events))
    (block,) = records.tables[0].blocks(quarantine)
    assert block.values.tolist() == [[60.0, 1.0]]
    assert {reason for _, _, reason in rows(quarantine)} == {
        "t0 is no date and time",
        "the sample has no t0",
        "the time cannot be read",
    }


@pytest.mark.parametrize("samples", ["sample_id,num:x\n", "sample_id,num:x\nNA,1\n"])
def test_a_table_without_a_sample_is_refused(tmp_path: Path, samples: str) -> None:
    with pytest.raises(InputError, match=r"samples.csv has no row with a sample_id"):
        read(files(tmp_path, samples))


@pytest.mark.parametrize("label", ["relapse", "outcomes=death, relapse"])
def test_what_is_to_be_predicted_is_refused_as_a_feature(tmp_path: Path, label: str) -> None:
    samples = "sample_id,subject_id,relapse,death\na,1,0,0\nb,2,1,0\n"
    dataset = imported(tmp_path, samples, "sample_id,TP53,relapse\na,1,0\nb,2,1\n")
    dataset.columns = SampleColumns((label,))
    with pytest.raises(InputError, match=r"rna.csv has a column 'relapse', which is to be predicted"):
        read(dataset)


def test_columns_of_an_npz_file_may_be_bytes_and_its_ids_are_finite(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("sample_id\n1\n2\n")
    names = {"values": np.array([[1.0], [2.0]]), "columns": np.array([b"TP53"])}
    np.savez(tmp_path / "rna.npz", sample_id=np.array([1.0, 2.0]), **names)
    dataset = ImportedDataSet(tmp_path / "samples.csv", {"rna": tmp_path / "rna.npz"})
    assert [column.name for column in read(dataset)[0].tables[0].columns] == ["TP53"]
    np.savez(tmp_path / "rna.npz", sample_id=np.array([1.0, np.inf]), **names)
    with pytest.raises(InputError, match="neither texts nor whole numbers"):
        read(ImportedDataSet(tmp_path / "samples.csv", {"rna": tmp_path / "rna.npz"}))


def test_a_folder_of_spark_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").mkdir()
    with pytest.raises(InputError, match=r"samples.csv is a folder"):
        FilesDataSet(tmp_path / "samples.csv").inputs()


@pytest.mark.parametrize("spelling", [("TRUE", "FALSE"), ("True", "False"), ("true", "false")])
def test_truth_values_are_the_same_classes_whoever_wrote_them(tmp_path: Path, spelling: tuple[str, str]) -> None:
    yes, no = spelling
    records, quarantine = read(files(tmp_path, f"sample_id,subject_id,cat:smoker\na,1,{yes}\nb,2,{no}\nc,3,\n"))
    assert [column.name for column in records.tables[0].columns] == ["smoker->false", "smoker->true"]
    assert values(records, quarantine, "cat") == {"a": [0, 1], "b": [1, 0]}


class TestFailedFormulas:
    @pytest.mark.parametrize("column", ["sample_id", "subject_id", "label", "cat:site", "text:note", "image:ct", "age"])
    def test_one_is_refused_with_its_row_where_it_would_be_taken_for_a_word(self, tmp_path: Path, column: str) -> None:
        names = ["sample_id", "subject_id", "label", "cat:site", "text:note", "image:ct", "age", "num:x"]
        sound = ["a", "1", "0", "north", "stable", "a.png", "70", "1.5"]
        failed = ["b", "2", "1", "south", "better", "b.png", "60", "2.5"]
        failed[names.index(column)] = "#REF!"
        table = "\n".join(map(",".join, [names, sound, failed])) + "\n"
        with pytest.raises(InputError, match=rf"row 3: {column} is #REF!, a failed formula of a spreadsheet"):
            read(files(tmp_path, table, labels=("label",), keep=("age",)))

    def test_among_numbers_it_is_one_more_cell_that_is_none(self, tmp_path: Path) -> None:
        records, quarantine = read(files(tmp_path, "sample_id,subject_id,num:x\na,1,#DIV/0!\nb,2,2\n"))
        assert values(records, quarantine, "num") == {"b": [2]}
        assert rows(quarantine) == [("row 2, num:x", "#DIV/0!", "no finite number")]


class TestNumbersOfRows:
    @pytest.mark.parametrize(("name", "first"), [("X", 1), ("index", 0)])
    def test_a_column_that_counts_the_rows_is_no_feature_and_that_is_said(
        self, tmp_path: Path, name: str, first: int
    ) -> None:
        table = "".join(f"{first + n},s{n},{n / 2}\n" for n in range(3))
        dataset = imported(tmp_path, "sample_id\ns0\ns1\ns2\n", f"{name},sample_id,tp53\n" + table)
        records, quarantine = read(dataset)
        assert [column.name for column in records.tables[0].columns] == ["tp53"]
        assert values(records, quarantine, "rna") == {"s0": [0], "s1": [0.5], "s2": [1]}
        reason = "a column of row numbers or names, no feature"
        assert (f"column {name!r}", "", reason) in rows(quarantine)

    @pytest.mark.parametrize("cells", [(3, 1, 2), (1, 2, 4), (2, 3, 4), (1, "", 3)])
    def test_a_feature_of_that_name_is_one(self, tmp_path: Path, cells: tuple[int, int, int]) -> None:
        table = "".join(f"{cell},s{n},{n / 2}\n" for n, cell in enumerate(cells))
        records, _ = read(imported(tmp_path, "sample_id\ns0\ns1\ns2\n", "X,sample_id,tp53\n" + table))
        assert [column.name for column in records.tables[0].columns] == ["X", "tp53"]
