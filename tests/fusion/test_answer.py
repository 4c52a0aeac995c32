"""What is said of predictions beside the predictions: strange values, samples seen in training, which run."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.answer import Answer, Outside, answer, check_ending, run_digest, trained_ranges
from omnifuse.fusion.batches import Cohort
from omnifuse.fusion.encoders import EncoderConfig
from omnifuse.fusion.normalisation import Normaliser
from omnifuse.fusion.preparation import prepare

ToyCohort = Callable[..., Cohort]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The files of a run of one fold, trained on samples 0 to 39, that an answer looks at."""
    folder = tmp_path / "run"
    (folder / "folds/0").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "folds/0/model.safetensors").write_bytes(b"weights")
    parts = ["train"] * 30 + ["validation"] * 10 + ["test"] * 20
    pl.DataFrame({"sample_id": range(60), "part": parts}).write_parquet(folder / "splits.parquet")
    return folder


def altered(cohort: Cohort, modality: str, row: int, column: int, value: float) -> Cohort:
    source = cohort.sources[modality]
    values = source.rows.values.copy()
    values[row, column] = value
    rows = replace(source.rows, values=values)
    return replace(cohort, sources={**cohort.sources, modality: replace(source, rows=rows)})


def asked(run: Path, trained: Cohort, cohort: Cohort, config: EncoderConfig, drop: tuple[str, ...] = ()) -> Answer:
    ranges = trained_ranges(trained, Normaliser.fit(prepare(trained, config), np.arange(40)))
    return answer(run, pl.DataFrame({"sample_id": cohort.sample_id}), cohort, [ranges], drop)


@pytest.mark.parametrize("encoder", ["statistics", "recurrent"])
def test_a_value_far_outside_the_training_range_is_named_with_its_column(
    run: Path, toy_cohort: ToyCohort, encoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A pulse of noise around 0 becomes 8000, an age 1000: another unit, or an error."""
    config, cohort = EncoderConfig(timeseries=encoder), toy_cohort()
    assert asked(run, cohort, cohort, config).outside == ()
    measured = int(np.flatnonzero(cohort.sources["ehr"].rows.values[:, 1] > 0)[5])
    far = altered(altered(cohort, "ehr", measured, 0, 8000.0), "static", 50, 0, -1000.0)
    with caplog.at_level(logging.WARNING):
        found = asked(run, cohort, far, config).outside
    assert [(one.modality, one.column, one.samples, one.furthest) for one in found] == [
        ("ehr", "pulse", 1, 8000.0),
        ("static", "age", 1, -1000.0),
    ]
    assert all(-5 < one.low < 0 < one.high < 7 for one in found)
    assert "static, age: values up to -1000 (samples: 1) are far outside those in training" in caplog.text
    assert [one.modality for one in asked(run, cohort, far, config, drop=("static",)).outside] == ["ehr"]


def test_a_range_is_that_of_training_samples_and_a_little_further_is_no_reason(
    run: Path, toy_cohort: ToyCohort
) -> None:
    cohort = toy_cohort()
    known = cohort.sources["static"].rows.values[:40, 0]
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    for value, expected in ((high + 0.9 * (high - low), []), (high + 1.1 * (high - low), ["age"]), (np.inf, ["age"])):
        found = asked(run, cohort, altered(cohort, "static", 55, 0, value), EncoderConfig())
        assert [one.column for one in found.outside] == expected
        json.dumps(found.to_json(), allow_nan=False)


def test_every_column_is_in_the_answer_and_twenty_are_named() -> None:
    outside = tuple(Outside("labs", f"x{number}", 1, 0, 1, 9) for number in range(30))
    found = Answer(pl.DataFrame({"sample_id": [1]}), "5f" * 32, 0, outside)
    assert len(found.to_json()["outside_training_range"]) == 30
    assert len(list(found.warnings())) == 21 and list(found.warnings())[-1].startswith("10 further columns")


def test_samples_that_the_run_was_trained_on_are_counted(run: Path, toy_cohort: ToyCohort) -> None:
    found = asked(run, toy_cohort(), toy_cohort(), EncoderConfig())
    assert found.trained_on == 40
    assert next(found.warnings()).startswith("40 of 60 samples have ids that the run was trained on")
    strangers = replace(toy_cohort(), sample_id=np.array([f"S{number}" for number in range(60)]))
    assert asked(run, toy_cohort(), strangers, EncoderConfig()).trained_on == 0


def test_the_digest_of_a_run_is_that_of_its_models_and_settings_and_of_nothing_else(run: Path) -> None:
    before = run_digest(run)
    (run / "report.html").write_text("a report")
    assert run_digest(run) == before
    (run / "folds/0/model.safetensors").write_bytes(b"others")
    assert run_digest(run) != before


@pytest.mark.parametrize(
    ("name", "read"),
    [("p.parquet", pl.read_parquet), ("p.csv", pl.read_csv), ("p.json", pl.read_json), ("P.CSV", pl.read_csv)],
)
def test_the_ending_of_a_file_says_how_it_is_written(
    tmp_path: Path, name: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    table = pl.DataFrame({"sample_id": ["a", "b,c"], "y": [1, None], "p": [0.25, 1e-9]})
    Answer(table, "5" * 64, 0, ()).write(tmp_path / "new" / name)
    assert read(tmp_path / "new" / name).equals(table.with_columns(run=pl.lit("run-" + "5" * 12)))  # no number


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.csv.gz", ".csv", ".parquet"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"predictions are written as \.parquet, \.csv, \.json"):
        check_ending(tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_ending(tmp_path / "folder.csv")
