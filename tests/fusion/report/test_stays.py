"""The page of single samples of a task with several predictions a sample: each has its stay's course beside it."""

from pathlib import Path

import polars as pl

from tests.fusion.report.test_patients import data_of
from tests.fusion.runs.test_many_times import HOURS, trained


def test_every_prediction_stands_in_the_course_of_its_stay(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    data = data_of(run.path)
    assert len(data["stays"]) == run.predictions["sample_id"].n_unique()
    table = run.predictions.with_columns(pl.col("sample_id").cast(pl.String))
    for sample in data["samples"][:20]:
        stay = data["stays"][sample["stay"]]
        own = table.filter(sample_id=sample["id"])
        assert stay["hours"] == own["prediction_hours"].to_list()
        assert sample["p"][0] == stay["p"][0][stay["hours"].index(sample["hour"])]
        assert all(set(times) <= {2.0 * n for n in range(1, 7)} for times in stay["arrived"])


def test_what_a_prediction_was_made_of_was_known_by_then(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    latest = float(HOURS[1])  # 3.5 h: bins that end after 2 h alone
    early = [sample for sample in data_of(run.path)["samples"] if sample["hour"] == latest]
    assert {state["when"] for sample in early for state in sample["modalities"]} <= {"", "2.0\N{NO-BREAK SPACE}h"}


def test_without_the_cache_nothing_is_said_of_what_arrived(tmp_path: Path) -> None:
    run = trained(tmp_path, "statistics")
    (tmp_path / "cache").rename(tmp_path / "away")
    data = data_of(run.path)
    assert not data["timed"]
    assert all(stay["arrived"] == [] for stay in data["stays"])
