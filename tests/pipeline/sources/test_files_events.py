"""Long tables of timed events beside a user's own table of samples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.cli import main
from omnifuse.pipeline.source import Block, Quarantine, TableModality
from omnifuse.pipeline.sources.files import event_table
from omnifuse.pipeline.sources.files.data_set import FilesDataSet

SAMPLES = "sample_id,label\nb,1\na,0\nc,1\n"
DATED = "sample_id,label,t0\nb,1,2020-01-01 08:00\na,0,2020-01-02\nc,1,\n"
HEADER = "sample_id,time,variable,value\n"
EVENTS = HEADER + "a,5,HR,90\na,0,HR,80\na,0.5,Temp,37\nb,2,HR,70\na,1,HR,85\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "samples.csv").write_text(SAMPLES)
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path


def data_set(folder: Path, events: str = "events.csv", **options: Any) -> FilesDataSet:
    return FilesDataSet(folder / "samples.csv", events={"vitals": folder / events}, **options)


def read(folder: Path, events: str = "events.csv", **options: Any) -> tuple[TableModality, list[Block], Quarantine]:
    dataset, quarantine = data_set(folder, events, **options), Quarantine()
    dataset.inputs()
    (table,) = dataset.read(quarantine).tables
    return table, list(table.blocks(quarantine)), quarantine


def columns(table: TableModality) -> list[str]:
    return [column.name for column in table.columns]


def test_the_last_value_of_a_bin_is_carried_forward_to_the_last_event(folder: Path) -> None:
    table, (block,), quarantine = read(folder)
    assert (table.name, table.kind, table.row_meaning) == ("vitals", "timeseries", "2 hours since t0")
    assert columns(table) == ["HR", "Temp", "mask->HR", "mask->Temp"]
    assert (block.sample_ids.tolist(), block.lengths.tolist(), block.time.tolist()) == (
        ["a", "b"],
        [3, 1],
        [2, 4, 6, 2],
    )
    nan = np.nan
    expected = [[85, 37, 1, 1], [85, 37, 0, 0], [90, 37, 1, 0], [70, nan, 1, 0]]
    np.testing.assert_array_equal(block.values, np.float32(expected))
    assert quarantine.total == 0


def test_bins_may_be_longer_and_are_closed_at_their_end(folder: Path) -> None:
    (folder / "events.csv").write_text(HEADER + "a,6,HR,60\na,6.001,HR,70\n")
    _, (block,), _ = read(folder, bin_hours=6.0)
    assert block.values[:, 0].tolist() == [60, 70]


def test_of_values_at_one_time_the_last_row_counts(folder: Path) -> None:
    (folder / "events.csv").write_text(HEADER + "a,1,HR,60\na,1,HR,70\na,1,HR,65\n")
    _, (block,), _ = read(folder)
    assert block.values.tolist() == [[65, 1]]


def test_dates_count_from_the_t0_of_the_sample(folder: Path) -> None:
    (folder / "samples.csv").write_text(DATED)
    (folder / "events.csv").write_text(HEADER + "b,2020-01-01 11:00,HR,70\na,2020-01-02T00:30:00,HR,80\n")
    table, (block,), _ = read(folder)
    assert (block.sample_ids.tolist(), block.lengths.tolist()) == (["a", "b"], [1, 2])
    np.testing.assert_array_equal(block.values[:, 0], [80, np.nan, 70])
    assert [path.name for path in table.inputs] == ["events.csv", "samples.csv"]


def test_events_that_have_no_place_or_number_are_counted(folder: Path) -> None:
    wrong = (
        "z,1,HR,1\ny,1,HR,1\na,1,,1\na,soon,HR,1\na,,HR,1\na,-0.5,HR,1\na,1e6,HR,1\na,1,HR,high\na,1,HR,inf\n,1,HR,1\n"
    )
    (folder / "events.csv").write_text(EVENTS + wrong)
    _, (block,), quarantine = read(folder)
    assert block.lengths.tolist() == [3, 1]
    assert dict(quarantine.counts().select("reason", "count").iter_rows()) == {
        "the sample is not among those extracted": 3,
        "no variable": 1,
        "the time cannot be read": 2,
        "before t0": 1,
        "more than 24,000 hours after t0": 1,
        "no finite number": 2,
    }
    assert quarantine.frame().filter(reason="before t0").row(0) == ("import", "events.csv", "row 12", "", "before t0")


def test_a_sample_without_t0_has_no_events(folder: Path) -> None:
    (folder / "samples.csv").write_text(DATED.replace("2020-01-02", "2.1.2020"))
    (folder / "events.csv").write_text(HEADER + "".join(f"{name},2020-01-01 09:00,HR,70\n" for name in "abc"))
    _, (block,), quarantine = read(folder)
    assert block.sample_ids.tolist() == ["b"]
    assert sorted(quarantine.frame().select("source", "where", "reason").rows()) == [
        ("events.csv", "row 2", "the sample has no t0"),
        ("samples.csv", "row 3", "t0 is no date and time"),
    ]
    assert quarantine.counts().filter(reason="the sample has no t0")["count"].to_list() == [2]


def test_a_value_that_a_cache_cannot_hold_is_counted_and_not_carried_forward(folder: Path) -> None:
    (folder / "events.csv").write_text(HEADER + "a,1,HR,60\na,3,HR,1e39\na,5,HR,-1e300\na,7,HR,3.4e38\nc,1,HR,1e39\n")
    _, (block,), quarantine = read(folder)
    assert block.sample_ids.tolist() == ["a"] and block.lengths.tolist() == [4]
    np.testing.assert_array_equal(block.values, np.float32([[60, 1], [60, 0], [60, 0], [3.4e38, 1]]))
    assert quarantine.counts().row(0) == ("import", "events.csv", "no finite number", 3)


def test_what_is_empty_is_unknown(folder: Path) -> None:
    (folder / "events.csv").write_text(EVENTS + "c,1,HR,\nc,1,HR,NA\nc,1,HR,nan\n")
    _, (block,), quarantine = read(folder)
    assert (block.sample_ids.tolist(), quarantine.total) == (["a", "b"], 0)


def test_variables_can_be_listed_and_keep_that_order(folder: Path) -> None:
    (folder / "columns.yaml").write_text("events:vitals: [Temp, SpO2]\n")
    table, (block,), quarantine = read(folder, mapping=folder / "columns.yaml")
    assert columns(table)[:2] == table.recipe["variables"] == ["Temp", "SpO2"]
    assert (block.sample_ids.tolist(), quarantine.total) == (["a"], 0)
    np.testing.assert_array_equal(block.values, np.float32([[37, np.nan, 1, 0]]))


def test_a_parquet_table_says_the_same(folder: Path) -> None:
    expected = read(folder)[1][0].values
    pl.read_csv(folder / "events.csv").write_parquet(folder / "events.parquet")
    np.testing.assert_array_equal(read(folder, "events.parquet")[1][0].values, expected)


def test_memory_decides_the_blocks_and_not_the_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (whole,), _ = read(folder)
    monkeypatch.setattr("omnifuse.pipeline.series.event_block.CELLS", 4)
    _, parts, _ = read(folder)
    assert [part.sample_ids.tolist() for part in parts] == [["a"], ["b"]]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)


def test_the_table_of_samples_may_have_other_names(folder: Path) -> None:
    (folder / "samples.csv").write_text("PatientNr,outcome,Admission\na,1,2020-01-01\n")
    (folder / "columns.yaml").write_text("sample_id: PatientNr\nlabel: outcome\nt0: Admission\n")
    (folder / "events.csv").write_text(HEADER + "a,2020-01-01 03:00,HR,70\n")
    assert read(folder, mapping=folder / "columns.yaml")[1][0].lengths.tolist() == [2]
    (folder / "columns.yaml").write_text("sample_id: PatientNr\nt0: Begin\n")
    with pytest.raises(MissingInputError, match=r"samples.csv has no column 'Begin'"):
        read(folder, mapping=folder / "columns.yaml")


@pytest.mark.parametrize(
    ("samples", "events", "message"),
    [
        (SAMPLES, "sample_id,time,item,value\n", r"events\.csv has no column 'variable'; it has sample_id, time"),
        (
            SAMPLES,
            HEADER + "a,2020-01-01,HR,1\n",
            "none of the first 1 times is a number of hours since t0 .row 2: '2020-01-01'.. Write them",
        ),
        (DATED, HEADER + "a,1,HR,1\n", "none of the first 1 times is a date and time, as t0 of the samples is"),
        (SAMPLES, HEADER, "has 0 variables; expected 1 to 1,000. Name those to use in a YAML file, `events:vitals: "),
        (SAMPLES, HEADER + "a,1,HR,1,2\n", r"events\.csv, line 2 has 5 fields, the header 4"),
        ("sample_id,text:vitals\n", EVENTS, r"'vitals' is a modality of .*samples\.csv already; give --events another"),
    ],
)
def test_tables_that_cannot_be_meant(folder: Path, samples: str, events: str, message: str) -> None:
    (folder / "samples.csv").write_text(samples)
    (folder / "events.csv").write_text(events)
    with pytest.raises(InputError, match=message):
        read(folder)


def test_too_many_variables_are_to_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_table, "MOST_VARIABLES", 1)
    with pytest.raises(InputError, match="has 2 variables; expected 1 to 1"):
        read(folder)


def test_files_and_names_that_are_not_there(folder: Path) -> None:
    with pytest.raises(MissingInputError, match=r"There is no file .*none\.csv"):
        read(folder, "none.csv")
    with pytest.raises(InputError, match=r"events\.npz cannot be read as a long table; known are \.csv"):
        (folder / "events.npz").touch()
        read(folder, "events.npz")
    (folder / "columns.yaml").write_text("events:labs: [Na]\n")
    with pytest.raises(InputError, match=r"columns\.yaml names events:labs; give its table, --events labs=FILE"):
        data_set(folder, mapping=folder / "columns.yaml")


class TestCommand:
    def call(self, folder: Path, *options: object) -> tuple[int, str]:
        arguments = ("extract", "--dataset", "files", "--samples", folder / "samples.csv", "--cache", folder / "cache")
        result = CliRunner().invoke(main, [*map(str, (*arguments, *options))])
        return result.exit_code, result.stderr if result.exit_code else result.stdout

    def test_events_become_modalities_of_the_cache(self, folder: Path) -> None:
        (folder / "labs.csv").write_text(HEADER + "c,30,Na,140\n")
        options = ("--events", f"vitals={folder / 'events.csv'}", "--events", f"labs={folder / 'labs.csv'}", "--json")
        code, output = self.call(folder, *options, "--bin-hours", 6)
        assert (code, json.loads(output)["pending"]) == (0, {"vitals": 3, "labs": 3})
        cache = FeatureCache.open(folder / "cache")
        assert cache.samples["sample_id"].to_list() == ["a", "b", "c"]
        assert cache.modality("vitals").lengths.tolist() == [1, 1, 0]
        assert cache.modality("labs").lengths.tolist() == [0, 0, 5]
        assert cache.verify().passed
        assert json.loads(self.call(folder, *options, "--bin-hours", 6)[1])["done"] is False
        (folder / "labs.csv").write_text(HEADER + "c,30,Na,141\n")
        assert json.loads(self.call(folder, *options, "--bin-hours", 6)[1])["pending"] == {"vitals": 0, "labs": 3}

    @pytest.mark.parametrize("events", ["events.csv", "a/b=events.csv"])
    def test_names_that_cannot_be_meant(self, folder: Path, events: str) -> None:
        code, text = self.call(folder, "--events", events)
        assert (code, "--events 'events.csv'; write NAME=FILE" in text or "use letters, digits" in text) == (2, True)
