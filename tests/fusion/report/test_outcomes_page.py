"""The pages of runs that predict quantities or times to an event, and that they show no single sample."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Task
from omnifuse.fusion.report import write_patients, write_report
from omnifuse.fusion.report.blocks import Text
from omnifuse.fusion.report.outcome_figures import FEWEST, predicted_figure
from omnifuse.fusion.report.outcomes import survival_blocks
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.words import digits, number

from tests.fusion.report.conftest import MODALITIES, RECIPES, alter_predictions, write_cache
from tests.fusion.report.test_page import Page

SAMPLES = 240


def trained(folder: Path, task: Task, hints: np.ndarray) -> Path:
    cache = write_cache(folder / "cache", task, hints, dict.fromkeys(MODALITIES, 1.0), "mimic", RECIPES)
    return train(cache, make_config("concat", overrides=("folds=2", "fit.epochs=12")), folder / task.name).path


@pytest.fixture(scope="module")
def hints() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(SAMPLES, 3))


@pytest.fixture(scope="module")
def stay(hints: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Length of stay in days, unknown of ten."""
    days = np.exp(1 + 0.4 * hints.sum(axis=1))
    days[:10] = np.nan
    task = Task("los", "regression", ("los",), days.astype(np.float32)[:, None], title="length of stay", unit="d")
    return trained(tmp_path_factory.mktemp("stay"), task, hints)


@pytest.fixture(scope="module")
def death(hints: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Time to death in days, with censoring."""
    rng = np.random.default_rng(1)
    time, lost = rng.exponential(30 / np.exp(hints.sum(axis=1))), rng.exponential(60, SAMPLES)
    y = np.stack([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
    task = Task("death", "survival", ("time", "event"), y, title="time to death", unit="d")
    return trained(tmp_path_factory.mktemp("death"), task, hints)


def page(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_page_of_a_quantity_speaks_of_its_error_in_its_unit(stay: Path) -> None:
    found, error = page(stay), load_run(stay).metrics.measures["mae"].mean
    assert f"MAE {number(error, digits(error))} d (95 % interval" in found.text
    assert "better than always predicting the mean" in found.text
    for figure in ("Predicted and measured", "Calibration", "Residuals"):
        assert figure in found.text
    assert "AUROC" not in found.text and "probabilit" not in found.text


def test_the_page_of_times_shows_groups_horizons_and_measures_over_time(death: Path) -> None:
    found = page(death)
    assert "concordance" in found.text and "against 0.5 of guessing" in found.text
    assert re.search(r"\d+ events \(\d+\.\d %\), the others censored", found.text)
    for part in (
        "Survival by predicted risk", "Calibration at three times", "AUROC over time", "Brier score over time",
        "At three times", "By predicted risk", "one curve for everybody",
    ):  # fmt: skip
        assert part in found.text


def test_tables_beside_the_page_have_what_it_shows(death: Path) -> None:
    write_report(death)
    shown = pl.read_csv(death / "tables" / "by-predicted-risk.csv")
    assert shown["predicted risk"].to_list() == ["lowest third", "middle third", "highest third"]
    assert shown["samples"].sum() == SAMPLES
    observed = shown["observed"].to_list()
    assert observed == sorted(observed)


def test_neither_page_names_a_patient(stay: Path, death: Path) -> None:
    for run in (stay, death):
        text = write_report(run).read_text(encoding="utf-8")
        assert "stay-1" not in text and "patient-" not in text


def test_cells_with_few_samples_are_not_drawn() -> None:
    scattered = np.arange(0.0, 60.0)
    together = np.concatenate([scattered, np.full(FEWEST, 30.0)])
    assert "0 of 60 samples" in predicted_figure(scattered, scattered[::-1].copy(), "d").caption
    assert f"{FEWEST + 3} of {60 + FEWEST} samples" in predicted_figure(together, together, "d").caption


@pytest.mark.parametrize("most", [FEWEST, 2 * FEWEST, 4 * FEWEST])
def test_a_figure_of_few_samples_is_drawn_whatever_the_fullest_cell_holds(most: int) -> None:
    values = np.concatenate([np.linspace(0, 100, 30), np.full(most - 1, 50.0)])
    assert "svg" in str(predicted_figure(values, values, "d"))


def test_where_every_tested_sample_is_censored_there_are_no_curves(death: Path) -> None:
    alter_predictions(death, lambda table: table.with_columns(event=pl.lit(0)))
    (said,) = survival_blocks(load_run(death))
    assert isinstance(said, Text) and said.text.startswith("No curves: every tested sample is censored")


def data_of(run: Path) -> dict[str, object]:
    source = write_patients(run).read_text(encoding="utf-8")
    found: dict[str, object] = json.loads(re.search(r'id="data">(.*?)</script>', source, re.DOTALL)[1])
    return found


def test_the_page_of_samples_has_the_largest_errors_first_and_no_alerts(stay: Path) -> None:
    data = data_of(stay)
    off = [abs(one["y"][0] - one["p"][0]) for one in data["samples"] if one["y"][0] is not None]
    assert data["quantities"] and data["unit"] == "d" and (np.diff(off) <= 0.01).all()  # rounded
    assert 'value="missed"' not in (stay / "patients.html").read_text(encoding="utf-8")


def test_the_page_of_samples_has_a_curve_and_what_was_recorded(death: Path) -> None:
    data, metrics = data_of(death), load_run(death).metrics
    one = data["samples"][0]
    assert len(one["curve"]) == len(data["times"]) == len(metrics.times)
    assert one["p"][0] == pytest.approx(1 - one["curve"][-1], abs=2e-4)
    assert re.fullmatch(r"(event|censored) at [\d.]+ d", one["recorded"])
