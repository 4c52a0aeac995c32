"""MEDS folders of a few events, as samples, rows and labels."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError, Task
from omnifuse.cli import main
from omnifuse.pipeline.series import event_block
from omnifuse.pipeline.source import Block, Quarantine, Records, TableModality
from omnifuse.pipeline.sources.meds.data_set import MedsDataSet

NOW = datetime(2020, 1, 3)
"""The prediction time; with the default window t0 is 48 hours before."""

SCHEMA = {
    "subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32,
    "text_value": pl.String,
}  # fmt: skip

Event = tuple[int | None, datetime | None, str | None, float | None]


def hour(hours: float) -> datetime:
    """Return the time so many hours after t0 of the default window."""
    return NOW - timedelta(hours=48 - hours)


EVENTS: list[Event] = [
    (1, None, "GENDER//F", None),
    (1, datetime(1960, 1, 3), "MEDS_BIRTH", None),
    (1, hour(-1), "HR", 60),
    (1, hour(-1), "DX//I10", None),
    (1, hour(1), "HR", 80),
    (1, hour(3), "HR", 90),
    (1, hour(3), "DX//J18", None),
    (1, hour(4), "HR", 95),
    (1, hour(47), "NA", 140),
    (1, NOW, "HR", 70),
    (1, NOW, "DX//J18", None),
    (2, hour(-5), "HR", 61),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Subjects 1 and 2 with events and a label, 1 dies."""
    write(tmp_path / "raw", EVENTS)
    label(tmp_path, subject_id=[1, 2], boolean_value=[True, False])
    return tmp_path


def write(folder: Path, events: list[Event], name: str = "0") -> None:
    path = folder / "data" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(*event, "a text that stays here") for event in events]
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(path)


def label(folder: Path, name: str = "died.parquet", **columns: Any) -> Path:
    columns.setdefault("prediction_time", [NOW] * len(columns["subject_id"]))
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    table = pl.DataFrame(columns)
    table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    return path


def split(folder: Path, **subjects: list[int]) -> None:
    rows = [(subject, part) for part, members in subjects.items() for subject in members]
    (folder / "raw" / "metadata").mkdir(exist_ok=True)
    table = pl.DataFrame(rows, schema=["subject_id", "split"], orient="row")
    table.write_parquet(folder / "raw" / "metadata" / "subject_splits.parquet")


def data_set(folder: Path, labels: str = "died.parquet", **options: Any) -> MedsDataSet:
    return MedsDataSet(folder / "raw", folder / labels, **options)


def read(folder: Path, labels: str = "died.parquet", **options: Any) -> tuple[Records, Quarantine]:
    dataset, quarantine = data_set(folder, labels, **options), Quarantine()
    dataset.inputs()
    return dataset.read(quarantine), quarantine


def table_of(folder: Path, name: str, **options: Any) -> tuple[TableModality, list[Block]]:
    records, quarantine = read(folder, **options)
    table = next(table for table in records.tables if table.name == name)
    return table, list(table.blocks(quarantine))


def column(folder: Path, modality: str, name: str, **options: Any) -> list[float]:
    """Return a column of the only sample that has the modality."""
    table, (block,) = table_of(folder, modality, **options)
    assert block.sample_ids.tolist() == ["1@2020-01-03T00:00:00"]
    return block.values[:, names(table).index(name)].tolist()


def names(table: TableModality) -> list[str]:
    return [column.name for column in table.columns]


def task_of(folder: Path, labels: str = "died.parquet") -> Task:
    (task,) = read(folder, labels)[0].tasks({})
    return task


def left_out(folder: Path) -> dict[str, tuple[str, int]]:
    """Return where the first row of each reason lies, and how many there are."""
    quarantine = read(folder)[1]
    where = dict(quarantine.frame().select("reason", "where").iter_rows())
    return {
        reason: (where[reason], count) for reason, count in quarantine.counts().select("reason", "count").iter_rows()
    }


class TestSamples:
    def test_every_label_is_a_sample(self, raw: Path) -> None:
        times = [NOW, hour(2), NOW + timedelta(seconds=1, milliseconds=500)]
        label(raw, subject_id=[1, 1, 2], prediction_time=times, boolean_value=[True, False, False])
        records, _ = read(raw)
        assert records.samples.rows() == [
            ("1@2020-01-01T02:00:00", 1),
            ("1@2020-01-03T00:00:00", 1),
            ("2@2020-01-03T00:00:01.500", 2),
        ]
        (task,) = records.tasks({})
        assert task.y.tolist() == [[0], [1], [0]]

    def test_each_sample_sees_its_own_window(self, raw: Path) -> None:
        label(raw, subject_id=[1, 1], prediction_time=[NOW, hour(2)], boolean_value=[True, False])
        _, (block,) = table_of(raw, "ehr")
        assert block.lengths.tolist() == [24, 24]
        np.testing.assert_array_equal(block.values[:24, 0], [np.nan] * 22 + [60, 80])

    def test_the_task_is_named_like_the_file_and_ends_with_the_window(self, raw: Path) -> None:
        task = task_of(raw)
        assert (task.name, task.kind, task.labels, task.window_hours) == ("died", "binary", ("died",), 48)
        assert task.counts == (("labels of subjects with data", 2), ("with a known label", 2))

    def test_limit_keeps_the_first_samples(self, raw: Path) -> None:
        records, _ = read(raw, limit=1)
        assert records.samples["subject_id"].to_list() == [1]
        assert records.tasks({})[0].counts[-1] == ("the first 1", 1)


class TestSeries:
    def test_the_last_value_of_a_bin_is_carried_forward_and_masks_tell_what_was_seen(self, raw: Path) -> None:
        assert column(raw, "ehr", "HR") == [80, 95] + [95] * 21 + [70]
        assert column(raw, "ehr", "mask->HR") == [1, 1] + [0] * 21 + [1]
        np.testing.assert_array_equal(column(raw, "ehr", "NA"), [np.nan] * 23 + [140])

    def test_times_are_the_ends_of_the_bins(self, raw: Path) -> None:
        table, (block,) = table_of(raw, "ehr")
        assert (table.kind, names(table)) == ("timeseries", ["HR", "NA", "mask->HR", "mask->NA"])
        np.testing.assert_array_equal(block.time, np.arange(2, 50, 2))

    def test_of_values_at_one_time_the_last_row_counts(self, raw: Path) -> None:
        write(raw / "raw", [(1, hour(1), "HR", 80), (1, hour(1), "HR", 81)])
        assert column(raw, "ehr", "HR")[0] == 81

    @pytest.mark.parametrize("later", [timedelta(seconds=1), timedelta(microseconds=1), timedelta(days=900)])
    @pytest.mark.parametrize("event", [("HR", 666.0), ("TELLING", 1.0), ("DX//J18", None), ("MEDS_DEATH", None)])
    def test_nothing_after_the_prediction_time_is_seen(
        self, raw: Path, later: timedelta, event: tuple[str, float | None]
    ) -> None:
        def everything() -> list[tuple[list[str], list[list[float]]]]:
            records, quarantine = read(raw)
            return [
                (names(table), [block.values.tolist() for block in table.blocks(quarantine)])
                for table in records.tables
            ]

        before = str(everything())
        write(raw / "raw", [*EVENTS, (1, NOW + later, *event)])
        assert str(everything()) == before

    def test_the_window_begins_so_many_hours_before_the_prediction(self, raw: Path) -> None:
        early: list[Event] = [(1, hour(0) - timedelta(microseconds=1), "HR", 1), (1, hour(0), "NA", 2)]
        write(raw / "raw", early)
        table, (block,) = table_of(raw, "ehr")
        assert names(table) == ["NA", "mask->NA"]
        assert block.values[0].tolist() == [2, 1]

    def test_window_and_bins_can_be_chosen(self, raw: Path) -> None:
        assert column(raw, "ehr", "HR", bin_hours=24.0) == [95, 70]
        assert column(raw, "ehr", "HR", window_hours=2.0) == [70]
        assert task_of(raw).window_hours == 48
        assert read(raw, window_hours=6.0)[0].tasks({})[0].window_hours == 6
        with pytest.raises(InputError, match="--window-hours 3 is no multiple of --bin-hours 2"):
            data_set(raw, window_hours=3.0)

    def test_a_sample_without_events_in_its_window_has_no_rows(self, raw: Path) -> None:
        _, blocks = table_of(raw, "ehr")
        assert [block.sample_ids.tolist() for block in blocks] == [["1@2020-01-03T00:00:00"]]

    def test_memory_decides_the_blocks_and_not_the_rows(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(raw / "raw", [(subject, hour(subject), "HR", subject) for subject in range(1, 6)])
        label(raw, subject_id=range(1, 6), boolean_value=[True] * 5)
        _, (whole,) = table_of(raw, "ehr")
        monkeypatch.setattr(event_block, "CELLS", 30)  # a sample has 24 bins
        _, parts = table_of(raw, "ehr")
        assert [len(part.sample_ids) for part in parts] == [1, 1, 1, 1, 1]
        np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)


class TestCodesAndStatic:
    def test_codes_are_counted_in_the_window(self, raw: Path) -> None:
        table, (block,) = table_of(raw, "codes")
        assert (table.kind, names(table)) == ("features", ["DX//J18"])
        assert block.values.tolist() == [[2]]

    def test_what_is_not_a_number_is_no_value(self, raw: Path) -> None:
        write(raw / "raw", [(1, hour(1), "HR", float("nan"))])
        assert column(raw, "codes", "HR") == [1]

    def test_static_rows_are_0_or_1_and_the_age_is_that_at_prediction(self, raw: Path) -> None:
        write(raw / "raw", [*EVENTS, (2, None, "GENDER//M", None), (2, None, "GENDER//M", None)])
        table, (block,) = table_of(raw, "static")
        assert [(column.name, column.role) for column in table.columns] == [
            ("GENDER//F", "onehot"),
            ("GENDER//M", "onehot"),
            ("age", "value"),
        ]
        sixty = (NOW - datetime(1960, 1, 3)).days / 365.25
        np.testing.assert_array_equal(block.values, np.float32([[1, 0, sixty], [0, 1, np.nan]]))

    def test_a_number_without_a_time_keeps_it(self, raw: Path) -> None:
        heights: list[Event] = [(1, None, "HEIGHT", 180), (2, None, "HEIGHT", None), (2, None, "GENDER//M", None)]
        write(raw / "raw", [*EVENTS, *heights, (1, None, "HEIGHT", 175.5)])
        table, (block,) = table_of(raw, "static")
        assert [(column.name, column.role) for column in table.columns][2:] == [("HEIGHT", "value"), ("age", "value")]
        np.testing.assert_array_equal(block.values[:, :3], np.float32([[1, 0, 175.5], [0, 1, np.nan]]))
        assert table.recipe["numbers"] == ["HEIGHT"]
        assert left_out(raw) == {"no number, unlike other rows of the code": ("row 15", 1)}

    def test_measurements_and_births_without_a_time_are_no_statics(self, raw: Path) -> None:
        undated: list[Event] = [(1, None, "HR", 77), (2, None, "DX//J18", None), (2, None, "MEDS_BIRTH", None)]
        write(raw / "raw", undated, "1")
        table, _ = table_of(raw, "static")
        assert names(table) == ["GENDER//F", "age"]
        assert column(raw, "ehr", "HR")[0] == 80
        assert left_out(raw) == {"no time, and the code is that of a measurement": ("row 2", 3)}

    def test_a_number_that_no_cache_can_hold_is_left_out(self, raw: Path) -> None:
        path = raw / "raw" / "data" / "0.parquet"
        table = pl.read_parquet(path).with_columns(pl.col("numeric_value").cast(pl.Float64))
        huge = pl.when(pl.col("numeric_value") == 80).then(1e39).otherwise("numeric_value")
        table.with_columns(numeric_value=huge).write_parquet(path)
        assert np.isnan(column(raw, "ehr", "HR")[0])
        assert left_out(raw) == {"numeric_value is infinite or too large": ("row 6", 1)}

    def test_without_any_static_row_a_category_is_unknown(self, raw: Path) -> None:
        write(raw / "raw", [*EVENTS, (2, datetime(1990, 1, 3), "MEDS_BIRTH//HOSPITAL", None)])
        _, (block,) = table_of(raw, "static")
        age = (NOW - datetime(1990, 1, 3)).days / 365.25
        np.testing.assert_array_equal(block.values[1], np.float32([np.nan, age]))


class TestChoiceOfCodes:
    @pytest.fixture
    def several(self, raw: Path) -> Path:
        """Of four samples three have A, two B, one C; only subject 4 has D, and that one is held out."""
        have = {1: "ABC", 2: "AB", 3: "A", 4: "DDDD"}
        write(raw / "raw", [(subject, hour(5), code, 1) for subject, codes in have.items() for code in codes])
        label(raw, subject_id=[1, 2, 3, 4], boolean_value=[True, False, True, False])
        return raw

    def test_held_out_samples_decide_nothing(self, several: Path) -> None:
        split(several, train=[1, 2], tuning=[3], held_out=[4])
        table, _ = table_of(several, "ehr")
        assert names(table)[:3] == ["A", "B", "C"]
        assert table.recipe["codes"] == "at most 100, those that most of the samples to train on have"

    def test_without_a_split_all_decide_and_the_recipe_says_so(self, several: Path) -> None:
        table, _ = table_of(several, "ehr")
        assert names(table)[:4] == ["A", "B", "C", "D"]
        assert "all samples (the data set has no split)" in table.recipe["codes"]

    def test_the_codes_of_most_samples_are_taken(self, several: Path) -> None:
        rare = [f"X{number:03d}" for number in range(100)]
        write(several / "raw", [(4, hour(5), code, 1) for code in rare], "1")
        assert names(table_of(several, "ehr")[0])[:100] == ["A", "B", "C", "D", *rare[:96]]

    def test_a_list_of_codes_is_kept_in_its_order(self, several: Path) -> None:
        path = several / "codes.yaml"
        path.write_text("ehr: [D, A, UNSEEN]\n")
        table, (block,) = table_of(several, "ehr", codes=path)
        assert names(table)[:3] == table.recipe["codes"] == ["D", "A", "UNSEEN"]
        assert block.values[-1].tolist()[:2] == [1, pytest.approx(np.nan, nan_ok=True)]
        assert [path.name for path in table.inputs] == ["0.parquet"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("vitals: [A]", "unknown modality 'vitals'; known are ehr, codes, static"),
            ("ehr: A", "'ehr' needs a list of names"),
            ("ehr: [220045]", "write numbers in quotes"),
            ("ehr: [A, A]", "'ehr' lists a name twice"),
            ("[A]", "names no columns"),
        ],
    )
    def test_lists_that_cannot_be_meant(self, several: Path, text: str, message: str) -> None:
        path = several / "codes.yaml"
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            data_set(several, codes=path)

    def test_modalities_can_be_chosen_and_must_have_rows(self, several: Path) -> None:
        assert [table.name for table in read(several)[0].tables] == ["ehr"]
        with pytest.raises(InputError, match="no row of codes in the 48 hours before the predictions of all samples"):
            read(several, modalities=("codes",))
        with pytest.raises(InputError, match="no modality 'cxr'; it has ehr, codes, static"):
            data_set(several, modalities=("cxr",))

    def test_labels_of_another_time_are_explained(self, several: Path) -> None:
        label(several, subject_id=[1], prediction_time=[datetime(1999, 1, 1)], boolean_value=[True])
        with pytest.raises(InputError, match=r"Are the times of .*died\.parquet those of the data"):
            read(several)


class TestSplit:
    def test_its_parts_are_those_of_the_cache(self, raw: Path) -> None:
        write(raw / "raw", [(subject, hour(5), "A", 1) for subject in range(1, 6)])
        label(raw, subject_id=range(1, 6), boolean_value=[True] * 5)
        split(raw, train=[1, 9], tuning=[2], held_out=[3], other=[4])
        records, quarantine = read(raw)
        parts = records.splits["subject_splits"]
        assert parts.select(pl.col("sample_id").str.head(1), "part").rows() == [
            ("1", "train"),
            ("2", "validation"),
            ("3", "test"),
        ]
        assert quarantine.frame().select("where", "reason").rows() == [
            ("subject 4", "the part 'other' is none of train, tuning, held_out: in no part"),
            ("subject 5", "the subject is not listed: in no part"),
        ]

    def test_there_need_not_be_one(self, raw: Path) -> None:
        assert read(raw)[0].splits == {}

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"train": [1, 2], "held_out": [2]}, "puts subject 2 into held_out and train"),
            ({"held_out": [1, 2]}, "puts none of the 2 labelled samples into train"),
        ],
    )
    def test_splits_that_cannot_be_meant(self, raw: Path, parts: dict[str, list[int]], message: str) -> None:
        split(raw, **parts)
        with pytest.raises(InputError, match=message):
            read(raw)


class TestLabels:
    def test_rows_that_cannot_be_used_are_counted(self, raw: Path) -> None:
        label(
            raw, "died.csv",
            subject_id=["2", "one", "1", "1", None, "7", "1"], boolean_value=[True] * 7,
            prediction_time=["2020-01-03", "2020-01-03", "2020-01-03T00:00:00.000000", "2020-01-03", "2020-01-03",
                             "2020-01-03", "soon"],
        )  # fmt: skip
        records, quarantine = read(raw, "died.csv")
        assert records.samples["sample_id"].to_list() == ["1@2020-01-03T00:00:00", "2@2020-01-03T00:00:00"]
        assert sorted(quarantine.counts().select("source", "reason", "count").rows()) == [
            ("died.csv", "prediction_time is no date and time", 1),
            ("died.csv", "subject_id is no whole number", 2),
            ("died.csv", "the subject has no row in data/", 1),
            ("died.csv", "this subject has a label at this time already", 1),
        ]
        assert set(quarantine.frame()["where"]) == {"row 3", "row 5", "row 7", "row 8"}

    def test_a_folder_of_tables_is_one_task(self, raw: Path) -> None:
        label(raw, "readmitted/0.parquet", subject_id=[2], boolean_value=[True])
        label(raw, "readmitted/1.parquet", subject_id=[1], boolean_value=[False])
        task = task_of(raw, "readmitted")
        assert (task.name, task.y.tolist()) == ("readmitted", [[0], [1]])
        assert [path.name for path in data_set(raw, "readmitted").inputs()] == ["0.parquet", "1.parquet", "0.parquet"]

    def test_categories_make_classes_and_0_and_1_a_binary_task(self, raw: Path) -> None:
        write(raw / "raw", [(subject, hour(5), "A", 1) for subject in (1, 2, 3)])
        label(raw, "unit.parquet", subject_id=[1, 2, 3], categorical_value=["MICU", "SICU", "CCU"])
        assert task_of(raw, "unit.parquet").labels == ("CCU", "MICU", "SICU")
        label(raw, "flag.parquet", subject_id=[1, 2, 3], integer_value=[0, 1, 0], boolean_value=[None] * 3)
        assert task_of(raw, "flag.parquet").kind == "binary"

    def test_real_numbers_are_a_quantity_and_so_are_many_counts(self, raw: Path) -> None:
        label(raw, "los.parquet", subject_id=[1, 2], float_value=[1.5, 2.0])
        assert (task_of(raw, "los.parquet").kind, task_of(raw, "los.parquet").y.tolist()) == (
            "regression",
            [[1.5], [2]],
        )
        write(raw / "raw", [(subject, hour(5), "A", 1) for subject in range(1, 13)])
        label(raw, "falls.parquet", subject_id=list(range(1, 13)), integer_value=list(range(12)))
        assert task_of(raw, "falls.parquet").kind == "regression"

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({}, "holds no label; a table of MEDS labels has subject_id, prediction_time and one of boolean_value"),
            ({"boolean_value": [None, None]}, "holds no label"),
            ({"boolean_value": [True, False], "integer_value": [1, 2]}, "in boolean_value and integer_value; keep one"),
            ({"integer_value": [1, 2], "subject_id": [8, 9]}, "no label of a subject of .*raw"),
            ({"integer_value": [1, 2], "subject_id": [8, 9]}, "it names 8, the data 1. Was it made for another"),
            ({"boolean_value": [True] * 2, "subject_id": [None, None]}, "has no row that can be used"),
            ({"boolean_value": [True] * 2, "subject_id": [[1], [2]]}, "has no column 'subject_id'"),
            ({"prediction_time": [NOW.replace(tzinfo=UTC)] * 2}, "prediction_time is Datetime.*UTC.* without a time z"),
        ],
    )
    def test_labels_that_cannot_be_meant(self, raw: Path, columns: dict[str, list[Any]], message: str) -> None:
        label(raw, **{"subject_id": [1, 2], **columns})
        with pytest.raises(InputError, match=message):
            read(raw)

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            (["2020-01-03 00:00:00", "2020-01-03T00:00:00Z"], "of row 3, '2020-01-03T00:00:00Z', has a time zone"),
            (["2020-01-03 00:00:00+01:00"] * 2, r"of row 2, '2020-01-03 00:00:00\+01:00', has a time zone"),
            (["01/03/2020 00:00"] * 2, "of row 2, '01/03/2020 00:00', is not written like 2020-01-31 23:59:00"),
        ],
    )
    def test_times_of_another_format_are_named(self, raw: Path, times: list[str], message: str) -> None:
        label(raw, "died.csv", subject_id=[1, 2], prediction_time=times, boolean_value=[True, False])
        with pytest.raises(InputError, match=message):
            read(raw, "died.csv")

    @pytest.mark.parametrize("ids", [["1.0", "2.0"], ["1", "2"]])
    def test_whole_numbers_are_subjects_however_they_are_written(self, raw: Path, ids: list[str]) -> None:
        label(raw, "died.csv", subject_id=ids, boolean_value=[True, False])
        assert read(raw, "died.csv")[0].samples["subject_id"].to_list() == [1, 2]

    def test_labels_that_are_not_there(self, raw: Path) -> None:
        with pytest.raises(MissingInputError, match=r"no labels at .*none\.parquet; --samples names a table"):
            read(raw, "none.parquet")


class TestFolder:
    def test_rows_that_cannot_be_used_are_counted(self, raw: Path) -> None:
        wrong: list[Event] = [(1, hour(1), None, 5), (None, hour(1), "HR", 5), (1, hour(2), "HR", float("inf"))]
        write(raw / "raw", [*wrong, *EVENTS], "train/0")
        (raw / "raw" / "data" / "0.parquet").unlink()
        _, quarantine = read(raw)
        assert quarantine.frame().select("source", "where", "reason").rows() == [
            ("data/train/0.parquet", "row 2", "no code"),
            ("data/train/0.parquet", "row 3", "no subject_id"),
            ("data/train/0.parquet", "row 4", "numeric_value is infinite or too large"),
        ]
        assert column(raw, "ehr", "HR")[0] == 80

    def test_a_subject_may_lie_in_several_files(self, raw: Path) -> None:
        write(raw / "raw", [(1, hour(2), "HR", 82)], "1")
        assert column(raw, "ehr", "HR")[0] == 82

    def test_files_without_numbers_hold_codes(self, raw: Path) -> None:
        path = raw / "raw" / "data" / "0.parquet"
        pl.read_parquet(path).drop("numeric_value", "text_value").write_parquet(path)
        assert [table.name for table in read(raw)[0].tables] == ["codes", "static"]

    def test_a_folder_without_data_says_what_was_expected(self, tmp_path: Path) -> None:
        (tmp_path / "raw" / "labs").mkdir(parents=True)
        with pytest.raises(MissingInputError, match=r"no data/\*\.parquet; it holds labs\. A MEDS data set has"):
            data_set(tmp_path).files  # noqa: B018

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (pl.col("code").alias("concept"), "has no column 'code'; it has subject_id, time, concept"),
            (pl.col("time").dt.replace_time_zone("UTC"), "time is Datetime.* in MEDS it holds timestamps without"),
            (pl.col("time").cast(pl.String), "time is String; in MEDS"),
            (pl.col("subject_id").cast(pl.String), "subject_id is String; in MEDS it holds whole numbers"),
            (pl.col("subject_id").cast(pl.Float64), "subject_id is Float64; in MEDS it holds whole numbers"),
            (
                pl.concat_list("numeric_value").alias("numeric_value"),
                "numeric_value is List.*; in MEDS it holds numbers",
            ),
        ],
    )
    def test_files_that_are_no_meds_are_refused(self, raw: Path, change: pl.Expr, message: str) -> None:
        path = raw / "raw" / "data" / "0.parquet"
        table = pl.read_parquet(path)
        changed = table.select(change if name == change.meta.root_names()[0] else name for name in table.columns)
        changed.write_parquet(path)
        with pytest.raises(InputError, match=message):
            read(raw)

    def test_brackets_in_names_are_no_pattern(self, raw: Path) -> None:
        write(raw / "raw", EVENTS[:1], "x1")
        path = raw / "raw/data/x1.parquet"
        pl.read_parquet(path).drop("numeric_value").write_parquet(path)
        write(raw / "raw", [(1, hour(2), "HR", 82)], "x[1]")
        assert column(raw, "ehr", "HR")[0] == 82

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"subject_id": ["1", "2"], "split": ["train", "train"]}, "subject_id is String; in MEDS it holds whole"),
            ({"subject_id": [[1], [2]], "split": ["train", "train"]}, "subject_id is List"),
            ({"subject_id": [1, 2], "split": [1, 2]}, "split is Int64; in MEDS it holds text"),
        ],
    )
    def test_a_split_of_other_types_is_refused(self, raw: Path, columns: dict[str, list[Any]], message: str) -> None:
        (raw / "raw/metadata").mkdir()
        pl.DataFrame(columns).write_parquet(raw / "raw/metadata/subject_splits.parquet")
        with pytest.raises(InputError, match=message):
            read(raw)

    def test_a_cut_file_is_named(self, raw: Path) -> None:
        path = raw / "raw" / "data" / "0.parquet"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(InputError, match=r"0\.parquet cannot be read: .* Is the file complete"):
            read(raw)


class TestCommand:
    @pytest.fixture
    def cohort(self, tmp_path: Path) -> Path:
        """Sixty subjects, of whom those with a high heart rate die."""
        rng = np.random.default_rng(0)
        subjects = range(1, 61)
        died = [subject % 3 == 0 for subject in subjects]
        events: list[Event] = []
        for subject, dies in zip(subjects, died, strict=True):
            events += [(subject, None, f"GENDER//{'FM'[subject % 2]}", None), (subject, hour(20), "DX//I10", None)]
            events += [(subject, hour(at), "HR", 70 + 30 * dies + rng.normal()) for at in (1, 9, 30)]
        write(tmp_path / "raw", events)
        label(tmp_path, subject_id=subjects, boolean_value=died)
        parts = {"train": range(1, 37), "tuning": range(37, 49), "held_out": range(49, 61)}
        split(tmp_path, **{name: list(part) for name, part in parts.items()})
        return tmp_path

    def call(self, *arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*map(str, arguments)])
        return result.exit_code, result.stderr if result.exit_code else result.stdout

    def test_a_folder_becomes_a_cache_and_the_cache_a_model(self, cohort: Path) -> None:
        cache = cohort / "cache"
        extract = ("extract", "--dataset", "meds", "--raw", cohort / "raw", "--samples", cohort / "died.parquet")
        code, output = self.call(*extract, "--cache", cache, "--json")
        assert (code, json.loads(output)["pending"]) == (0, {"ehr": 60, "codes": 60, "static": 60})
        assert json.loads(self.call(*extract, "--cache", cache, "--json")[1])["done"] is False
        stored = FeatureCache.open(cache)
        assert stored.verify().passed
        assert stored.modality("ehr")[0].shape == (24, 2)
        assert "subject_splits" in stored.splits
        assert not [path for path in cache.rglob("*") if path.is_file() and b"a text that" in path.read_bytes()]
        budget = ("--set", "fit.epochs=20", "--workers", 1, "--run", cohort / "run")
        code, output = self.call("train", "--cache", cache, "--method", "concat", *budget, "--json")
        assert code == 0
        assert json.loads(output)["auroc"]["mean"] == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                (),
                "of labels, of which MEDS has none of its own: subject_id, prediction_time and one of boolean_value",
            ),
            (
                ("--samples", "x.parquet", "--label", "died"),
                "meds has no option --label, which is for: files, imported",
            ),
            (
                ("--samples", "x.parquet", "--without-rule", "rounding"),
                "meds has no option --without-rule, which is for: mimic, synthetic",
            ),
            (("--samples", "x.parquet", "--window-hours", "-2"), "--window-hours -2 is no multiple"),
            (("--samples", "x.parquet"), "There are no labels at x.parquet"),
        ],
    )
    def test_options_that_do_not_fit_are_explained(
        self, tmp_path: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        cache = tmp_path / "cache"
        code, text = self.call("extract", "--dataset", "meds", "--raw", tmp_path, *arguments, "--cache", cache)
        assert (code, message in text) == (2, True), text

    def test_the_window_is_an_option_of_no_other_data_set(self, tmp_path: Path) -> None:
        arguments = ("--dataset", "mimic", "--raw", tmp_path, "--window-hours", 24, "--cache", tmp_path / "cache")
        code, text = self.call("extract", *arguments)
        assert (code, "mimic has no option --window-hours, which is for: meds" in text) == (2, True)
