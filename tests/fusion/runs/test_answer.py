"""What is said of predictions beside the predictions: strange values, who answered, which run."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.inputs.spec import EncoderConfig
from omnifuse.fusion.runs.answer import Answer, Outside, answer, check_ending, run_digest, trained_ranges
from omnifuse.fusion.runs.folder import RunFolder

ToyCohort = Callable[..., Cohort]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The files of a run that an answer looks at."""
    folder = tmp_path / "run"
    (folder / "folds/0").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "folds/0/model.safetensors").write_bytes(b"weights")
    return folder


def by(*models: str) -> pl.DataFrame:
    """Return a table of samples that were answered so."""
    return pl.DataFrame({"sample_id": range(len(models)), "models": models})


def altered(cohort: Cohort, modality: str, row: int, column: int, value: float) -> Cohort:
    source = cohort.sources[modality]
    values = source.rows.values.copy()
    values[row, column] = value
    rows = replace(source.rows, values=values)
    return replace(cohort, sources={**cohort.sources, modality: replace(source, rows=rows)})


def asked(run: Path, trained: Cohort, cohort: Cohort, config: EncoderConfig, drop: tuple[str, ...] = ()) -> Answer:
    ranges = trained_ranges(trained, Normaliser.fit(prepare(trained, config), np.arange(40)))
    table = pl.DataFrame({"sample_id": cohort.sample_id, "models": "mean"})
    return answer(RunFolder(run), table, cohort, [ranges], other_cache=True, drop=drop)


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
    found = Answer(by("mean"), "5f" * 32, False, outside)
    assert len(found.to_json()["outside_training_range"]) == 30
    assert len(list(found.warnings())) == 21 and list(found.warnings())[-1].startswith("10 further columns")


def test_it_is_counted_who_answered() -> None:
    found = Answer(by("mean", "out-of-fold", "mean"), "5f" * 32, False, ())
    assert found.to_json()["models"] == found.models == {"out-of-fold": 1, "mean": 2, "seen": 0}
    assert str(found) == "1 by the model of the fold that tested their subject, 2 by the mean of the models"
    assert list(found.warnings()) == []


def test_samples_that_no_model_is_blind_to_are_warned_of() -> None:
    found = Answer(by("seen", "seen", "out-of-fold"), "5f" * 32, False, ())
    (warning,) = found.warnings()
    assert warning.startswith("2 of 3 samples are of subjects that the run was trained on, and no model of it was not")
    assert str(found).endswith("2 by models that were trained on their subject")


def test_of_another_cache_equal_subject_ids_are_taken_for_the_same_people_and_said_to_be() -> None:
    (warning,) = Answer(by("mean", "out-of-fold"), "5f" * 32, True, ()).warnings()
    assert warning.startswith("1 of 2 samples have subject ids that the run knows from another cache")
    assert list(Answer(by("mean", "mean"), "5f" * 32, True, ()).warnings()) == []


def test_the_digest_of_a_run_is_that_of_its_models_and_settings_and_of_nothing_else(run: Path) -> None:
    before = run_digest(RunFolder(run))
    (run / "report.html").write_text("a report")
    assert run_digest(RunFolder(run)) == before
    (run / "folds/0/model.safetensors").write_bytes(b"others")
    assert run_digest(RunFolder(run)) != before


@pytest.mark.parametrize(
    ("name", "read"),
    [("p.parquet", pl.read_parquet), ("p.csv", pl.read_csv), ("p.json", pl.read_json), ("P.CSV", pl.read_csv)],
)
def test_the_ending_of_a_file_says_how_it_is_written(
    tmp_path: Path, name: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    table = pl.DataFrame({"sample_id": ["a", "b,c"], "y": [1, None], "p": [0.25, 1e-9], "models": ["mean", "seen"]})
    Answer(table, "5" * 64, False, ()).write(tmp_path / "new" / name)
    assert read(tmp_path / "new" / name).equals(table.with_columns(run=pl.lit("run-" + "5" * 12)))  # no number


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.csv.gz", ".csv", ".parquet"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"predictions are written as \.parquet, \.csv, \.json"):
        check_ending(tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_ending(tmp_path / "folder.csv")


def labelled(cohort: Cohort, y: np.ndarray) -> Cohort:
    return replace(cohort, task=replace(cohort.task, y=y), y=y)


class TestLabelsOfAnotherUnit:
    """Nobody named a unit; days then become years or hours."""

    def warned(self, run: Path, cohort: Cohort, found: np.ndarray, trained: np.ndarray) -> str | None:
        table = by(*["mean"] * len(cohort))
        return answer(
            RunFolder(run), table, labelled(cohort, found), [{}], other_cache=True, trained=trained, drop=cohort.sources
        ).unlike

    @pytest.mark.parametrize("kind", ["regression", "survival"])
    @pytest.mark.parametrize("factor", [1 / 365, 24])
    def test_labels_that_hardly_overlap_with_the_training_are_named(
        self, run: Path, toy_cohort: ToyCohort, kind: str, factor: float
    ) -> None:
        cohort = toy_cohort(kind=kind)
        other = cohort.y * np.array([factor, 1][: cohort.y.shape[1]], np.float32)
        if kind == "survival":
            other = np.where(cohort.y[:, :1] < 1, np.nan, other).astype(np.float32)
        label = {"regression": "days", "survival": "time"}[kind]
        assert (self.warned(run, cohort, other, cohort.y) or "").startswith(f"{label}: nine tenths of the labels")
        assert self.warned(run, cohort, cohort.y, cohort.y) is None

    def test_others_of_the_same_unit_too_few_and_classes_are_not(self, run: Path, toy_cohort: ToyCohort) -> None:
        days, classes = toy_cohort(kind="regression"), toy_cohort()
        assert self.warned(run, days, days.y + 2, days.y) is None
        few = np.where(np.arange(60)[:, None] < 19, 24 * days.y, np.nan).astype(np.float32)
        assert self.warned(run, days, few, days.y) is None
        assert self.warned(run, classes, classes.y, 1 - classes.y) is None
